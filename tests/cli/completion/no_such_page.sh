mnn completion man frobnicate
