"""Documents generated from the code: AsyncAPI, TypeScript and the reference pages."""
