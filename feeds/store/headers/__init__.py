"""Headers of articles: their forms, as generators and translation projects write them, and how a field is looked up."""
