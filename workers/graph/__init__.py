"""The knowledge graph: merge the content of mastery events into Neo4j."""
