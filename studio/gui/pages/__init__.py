"""The pages of the studio: each shows a document, none changes it."""
