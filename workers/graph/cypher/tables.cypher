// The embedded graph's tables, where Neo4j has constraints. Its primary keys are single columns,
// so a number of its own stands for (tenant_id, id); one handle writes at a time, which keeps the
// pair unique. Times are UTC.
CREATE NODE TABLE IF NOT EXISTS Student(
  number SERIAL, tenant_id STRING, id STRING, PRIMARY KEY(number));

CREATE NODE TABLE IF NOT EXISTS Concept(
  number SERIAL, tenant_id STRING, id STRING, PRIMARY KEY(number));

ALTER TABLE Concept ADD IF NOT EXISTS name STRING;

CREATE NODE TABLE IF NOT EXISTS Scale(
  number SERIAL, tenant_id STRING, id STRING, PRIMARY KEY(number));

CREATE NODE TABLE IF NOT EXISTS PracticeSession(
  number SERIAL, tenant_id STRING, id STRING, PRIMARY KEY(number));

CREATE REL TABLE IF NOT EXISTS HAS_MASTERY(
  FROM Student TO Concept,
  mastery DOUBLE, attempts INT64, mastered BOOLEAN, answered_at TIMESTAMP, version INT64);

CREATE REL TABLE IF NOT EXISTS HAS_ABILITY(
  FROM Student TO Scale,
  theta DOUBLE, standard_error DOUBLE, version INT64);

CREATE REL TABLE IF NOT EXISTS ATTENDED(
  FROM Student TO PracticeSession,
  responses INT64, correct INT64, version INT64);

CREATE REL TABLE IF NOT EXISTS PRACTISED(FROM PracticeSession TO Concept);

CREATE REL TABLE IF NOT EXISTS UNLOCKED(
  FROM Student TO Concept,
  unlocked_by STRING, prerequisites STRING[], `by` STRING, entry STRING, version INT64,
  at TIMESTAMP);

CREATE REL TABLE IF NOT EXISTS PREREQUISITE_OF(FROM Concept TO Concept);
