mnn bench
