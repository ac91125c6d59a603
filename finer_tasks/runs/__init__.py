"""Reading what lmms-eval wrote: tables, disagreements, consistency across levels."""
