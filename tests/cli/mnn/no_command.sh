mnn
