"""Process batches of responses. Read `pipeline.py` first.

An answer wears six shapes on its way:

| shape | what it is | where |
|---|---|---|
| `RawEntry` | an entry of the stream, unread | `streams/batch.py` |
| `Admitted` | an entry that may be applied | `admission/admission.py` |
| `Response` | the answer itself | `estimation/learner.py` |
| `Outcome` | what the fold made of it | `estimation/learner.py` |
| `Recorded` | the answer in the log, with its outcome | `ledger/exchange.py` |
| `Settled` | its entry at the end, with the events to publish | `publishing/settled.py` |

`LearnerGroup`, `Loaded`, `FoldTask`, `Folded` and `Commit` are about a learner:
the entries in the batch, what is stored, what to fold, what came of it, what to store.
"""
