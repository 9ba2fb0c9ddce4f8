"""Files beside articles: which may be published (kinds), how they are opened (opening), what references mean (finding)."""
