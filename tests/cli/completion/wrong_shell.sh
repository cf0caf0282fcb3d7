mnn completion csh
