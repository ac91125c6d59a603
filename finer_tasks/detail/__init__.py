"""Whether more detail in the attributes helps, by category of object."""
