"""Removing channels for good: which channels hang together, what each costs, and the smaller model without them.

``following`` says how each kind of layer passes channels on; ``dependencies`` traces a whole model into units that can
only go together; ``costs`` counts multiply-accumulates; ``importance`` rates units by the layers that read them;
``choice`` decides how many go where; ``refit`` mends the readers; ``surgery`` builds the smaller model.
"""
