// What can go wrong, beside the problems that the API answers with: see problems.js.

// Every error of this client. `userMessage` is a sentence for the person in front of the screen; `retryable` says
// whether the same request may succeed later, `retryAfterSeconds` when at the earliest, if that is known.
export class MediaBucketError extends Error {
  get name() {
    return this.constructor.errorName;
  }

  static errorName = "MediaBucketError";

  userMessage = "Something went wrong. Please try again.";
  retryable = false;
  retryAfterSeconds = null;
}

// No answer: no network, a connection that broke, or a request that took too long.
export class NetworkFailure extends MediaBucketError {
  static errorName = "NetworkFailure";

  userMessage = "The connection was lost. Please check your network and try again.";
  retryable = true;
}

// The store answered a PUT with something that is neither success nor an expired URL. `code` is the store's own.
export class StoreRefused extends MediaBucketError {
  static errorName = "StoreRefused";

  userMessage = "The file could not be stored. Please try again later.";

  constructor(status, { code = null, retryAfterSeconds = null } = {}) {
    super(`the store answered ${status}${code ? ` ${code}` : ""}`);
    this.status = status;
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
    this.retryable = isRetryable(status, retryAfterSeconds);
  }
}

// The file changed or went away while it was being read.
export class FileUnreadable extends MediaBucketError {
  static errorName = "FileUnreadable";

  userMessage = "The file could not be read. It may have been moved or changed; please choose it again.";
}

// The client was used in a way that cannot work.
export class UsageError extends MediaBucketError {
  static errorName = "UsageError";
}

// The upload was begun again and again, and never came to an end.
export class UploadStuck extends MediaBucketError {
  static errorName = "UploadStuck";

  userMessage = "The upload did not come to an end. Please try again later.";
}

// A status that another try of the same request may change. A 4xx says that the request itself is at fault, unless it
// says when to come back. https://www.rfc-editor.org/rfc/rfc9110#section-15.5
export function isRetryable(status, retryAfterSeconds) {
  if (status === 408) return true;
  if (status === 429) return retryAfterSeconds !== null;
  return status >= 500;
}
