"""Targets that networks are trained on: codecs from joints to arrays and back, and the shards that hold them."""
