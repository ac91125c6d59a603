"""What every task puts to a model, for two documents of each dataset, one text file a dataset.

The files say what is asked, so that no prompt changes unnoticed. Write them again, and read the difference, with

    python -m tests.tasks.golden
"""
