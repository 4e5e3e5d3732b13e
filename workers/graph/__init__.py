"""The knowledge graph: a subscriber that merges what mastery events carry into Neo4j."""
