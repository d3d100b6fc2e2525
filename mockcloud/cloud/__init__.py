"""The composition root: everything that chooses implementations and wires the layers into one running cloud."""
