// What the client makes of problem documents: node problems.mjs LIBRARY '[[status, document, retryAfterSeconds], ...]'.

const [library, documents] = process.argv.slice(2);
const { PROBLEMS, Problem, MediaBucketError, problemOf } = await import(library);

const told = ([status, document, retryAfterSeconds]) => {
  const error = problemOf(status, document, { retryAfterSeconds });
  const { name, slug, message, userMessage, retryable, requestId } = error;
  const kinds = [Error, MediaBucketError, Problem].every((kind) => error instanceof kind);
  return { name, slug, status: error.status, message, userMessage, retryable, requestId, kinds };
};

console.log(JSON.stringify({
  classes: PROBLEMS.map((problem) => ({ name: problem.name, errorName: problem.errorName, slug: problem.slug })),
  errors: JSON.parse(documents).map(told),
}));
