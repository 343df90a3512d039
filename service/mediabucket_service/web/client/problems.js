// The problems that the API answers with (RFC 9457), a class for each type.

import { MediaBucketError, isRetryable } from "./errors.js";

const TYPE_PREFIX = "urn:mediabucket:problem:";

// A refusal of the API. `document` is the problem as it came: `errors`, `missing_parts` and the like are there.
export class Problem extends MediaBucketError {
  static errorName = "Problem";
  static slug = null;
  static sentence = "The server could not do this. Please try again later.";

  constructor(document, { retryAfterSeconds = null } = {}) {
    super(document.detail ?? document.title ?? `the API answered ${document.status}`);
    this.document = document;
    this.type = document.type ?? "about:blank";
    this.title = document.title ?? "";
    this.status = document.status;
    this.detail = document.detail ?? "";
    this.requestId = document.request_id ?? null;
    this.retryAfterSeconds = retryAfterSeconds;
    this.retryable = isRetryable(document.status, retryAfterSeconds);
    this.userMessage = this.constructor.sentence;
  }

  get slug() {
    return this.constructor.slug ?? (this.type.startsWith(TYPE_PREFIX) ? this.type.slice(TYPE_PREFIX.length) : null);
  }
}

export class MalformedRequest extends Problem {
  static errorName = "MalformedRequest";
  static slug = "malformed-request";
  static sentence = "This file cannot be uploaded as it is. Please check its name and type.";

  get errors() {
    return this.document.errors ?? [];
  }
}

export class FileTooLarge extends Problem {
  static errorName = "FileTooLarge";
  static slug = "file-too-large";
  static sentence = "This file is too large.";
}

export class TypeNotAllowed extends Problem {
  static errorName = "TypeNotAllowed";
  static slug = "type-not-allowed";
  static sentence = "Files of this type cannot be uploaded here.";
}

export class Unauthenticated extends Problem {
  static errorName = "Unauthenticated";
  static slug = "unauthenticated";
  static sentence = "Your session has ended. Please sign in again.";
}

export class Forbidden extends Problem {
  static errorName = "Forbidden";
  static slug = "forbidden";
  static sentence = "You are not allowed to do this.";
}

export class RouteNotFound extends Problem {
  static errorName = "RouteNotFound";
  static slug = "not-found";
  static sentence = "The upload service was not found at this address. Please reload the app.";
}

export class MediaNotFound extends Problem {
  static errorName = "MediaNotFound";
  static slug = "media-not-found";
  static sentence = "This file no longer exists.";
}

export class MethodNotAllowed extends Problem {
  static errorName = "MethodNotAllowed";
  static slug = "method-not-allowed";
  static sentence = "This app is out of date. Please reload it.";
}

export class UploadMissing extends Problem {
  static errorName = "UploadMissing";
  static slug = "upload-missing";
  static sentence = "The file has not fully arrived. Please upload it again.";

  get missingParts() {
    return this.document.missing_parts ?? [];
  }
}

export class ConfirmInProgress extends Problem {
  static errorName = "ConfirmInProgress";
  static slug = "confirm-in-progress";
  static sentence = "The file is still being checked. Please wait a moment.";
}

export class MediaInUse extends Problem {
  static errorName = "MediaInUse";
  static slug = "media-in-use";
  static sentence = "This file is part of a message and cannot be deleted.";
}

export class NoPartsExpected extends Problem {
  static errorName = "NoPartsExpected";
  static slug = "no-parts-expected";
  static sentence = "This file has been uploaded already.";
}

export class UploadExpired extends Problem {
  static errorName = "UploadExpired";
  static slug = "upload-expired";
  static sentence = "The upload took too long. Please start it again.";
}

export class MediaDeleted extends Problem {
  static errorName = "MediaDeleted";
  static slug = "media-deleted";
  static sentence = "This file has been deleted.";
}

export class RequestTooLarge extends Problem {
  static errorName = "RequestTooLarge";
  static slug = "request-too-large";
  static sentence = "This is too much at once. Please send less.";
}

export class UploadMismatch extends Problem {
  static errorName = "UploadMismatch";
  static slug = "upload-mismatch";
  static sentence = "The file changed while it was uploaded, or is not of the type it claims. Please choose it again.";
}

export class TooManyRequests extends Problem {
  static errorName = "TooManyRequests";
  static slug = "rate-limited";
  static sentence = "That was a lot at once. Please wait a moment and try again.";
}

export class InternalError extends Problem {
  static errorName = "InternalError";
  static slug = "internal-error";
  static sentence = "The upload service failed. Please try again later.";
}

export class DependencyUnavailable extends Problem {
  static errorName = "DependencyUnavailable";
  static slug = "dependency-unavailable";
  static sentence = "The upload service is not available right now. Please try again in a moment.";
}

export const PROBLEMS = [
  MalformedRequest,
  FileTooLarge,
  TypeNotAllowed,
  Unauthenticated,
  Forbidden,
  RouteNotFound,
  MediaNotFound,
  MethodNotAllowed,
  UploadMissing,
  ConfirmInProgress,
  MediaInUse,
  NoPartsExpected,
  UploadExpired,
  MediaDeleted,
  RequestTooLarge,
  UploadMismatch,
  TooManyRequests,
  InternalError,
  DependencyUnavailable,
];

const BY_TYPE = new Map(PROBLEMS.map((problem) => [TYPE_PREFIX + problem.slug, problem]));

// The error for an answer that is no success. A type of a later service, or an answer of something in between that is
// no problem document at all, is a plain Problem.
export function problemOf(status, document, { retryAfterSeconds = null } = {}) {
  const told = typeof document === "object" && document !== null ? document : {};
  const Class = BY_TYPE.get(told.type) ?? Problem;
  return new Class({ ...told, status }, { retryAfterSeconds });
}
