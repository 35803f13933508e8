"""Layer-wise reconstruction: walk a network, give each layer a least-squares problem, take back a kernel.

``fold`` and ``graph`` prepare the network; ``sequential`` walks it and collects ``statistics``; ``solvers`` meet a
constraint on one layer; ``sensitivity`` and ``allocation`` say how much each layer has to give.
"""
