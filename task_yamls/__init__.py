"""The task YAMLs, as package data: one folder per dataset, shared templates in _templates/."""
