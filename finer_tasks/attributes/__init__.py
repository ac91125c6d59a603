"""The knowledge base: which visible attributes a concept requires and which are likely."""
