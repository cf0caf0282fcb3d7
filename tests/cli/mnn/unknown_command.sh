mnn frobnicate
