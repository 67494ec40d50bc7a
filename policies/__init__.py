"""What may be done: the vocabulary of actions, the policy language, and the one function that decides.

Pure: no clock, no sockets, no I/O beyond reading a policy file. From the question to the answer:

``action`` the typed, bounded actions · ``decide`` the one function that decides · ``admission`` who and
when · ``grant`` the two answers · ``policy`` all layers as one · ``combine`` makes it · ``model`` what a
layer is · ``match`` prefixes, names, ports, windows · ``special`` the reserved addresses, a flat table ·
``parameters`` what may be bounded, per primitive.

From the file to the layer: ``load`` every problem with file and line · ``source`` YAML to a tree ·
``reader`` values out of the tree · ``sections`` the keys of the language · ``units`` quantities ·
``analyse`` what is probably not meant · ``selftest`` the policy's own tests.

``explain`` says it in plain words · ``errors`` what can be wrong · ``examples/`` policies to start from.
"""
