"""Process batches of responses. Read `pipeline.py` first.

An entry and its answer have six shapes on the way:

| shape | what it is | where |
|---|---|---|
| `RawEntry` | an entry of the stream, unread | `streams/batch.py` |
| `Admitted` | an entry that may be applied | `admission/verdicts.py` |
| `Response` | the answer itself | `estimation/learner.py` |
| `Outcome` | what the fold made of it | `estimation/learner.py` |
| `Recorded` | the answer in the log, with its outcome | `ledger/exchange.py` |
| `Settled` | its entry at the end, with the events to publish | `publishing/settled.py` |

`LearnerGroup`, `Loaded`, `FoldTask`, `Folded` and `Commit` belong to a learner: its entries in the
batch, its stored state, the input and the result of the fold, and the rows to store.
"""
