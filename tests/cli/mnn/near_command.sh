mnn benhc
