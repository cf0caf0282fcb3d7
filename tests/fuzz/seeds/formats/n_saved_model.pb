
ops"serve