"""Tasks and results in the forms of other evaluation kits."""
