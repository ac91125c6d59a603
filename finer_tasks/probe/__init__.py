"""What can be told of a concept along the path of its image: probes of encoder, projector and language model."""
