"""How much of what a model names is lost on perturbed images, and whether that depends on the way of asking."""
