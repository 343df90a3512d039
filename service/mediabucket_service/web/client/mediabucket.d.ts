/** The client of a MediaBucket upload service. Wire objects keep the names of the API: see `/docs` of the service. */

export interface ClientOptions {
  /** Where the service is, such as `https://media.example.com`. */
  baseUrl: string;
  /** A bearer token; either this or `getToken`. */
  token?: string;
  /**
   * Answers a bearer token. `refused` is the one that the service has just refused, or null: a new one is tried once,
   * the same one is not.
   */
  getToken?: (context: { refused: string | null }) => string | Promise<string>;
  /** A faster SHA-256, such as hash-wasm's `createSHA256`. It runs on the page's own thread. */
  createHash?: () => Hash | Promise<Hash>;
  /** Parts of one file that are sent at the same time; 4. */
  parallelParts?: number;
  /** Files of `uploadMany` that are uploaded at the same time; 3. */
  parallelFiles?: number;
  retry?: Partial<RetryOptions>;
  /** How long the API may take to answer; 60,000. */
  timeoutMilliseconds?: number;
  /** How long a PUT may go without any byte being sent, where the platform tells; 60,000. */
  stallMilliseconds?: number;
  /** Instead of the global one. */
  fetch?: typeof fetch;
}

/** Exponential backoff with full jitter. */
export interface RetryOptions {
  /** Tries after the first; 6. */
  retries: number;
  baseMilliseconds: number;
  longestMilliseconds: number;
  /** A Retry-After beyond it is not waited for; 120. */
  longestRetryAfterSeconds: number;
}

export interface Hash {
  update(bytes: Uint8Array): unknown;
  /** 64 hexadecimal digits, or 32 bytes. */
  digest(): string | Uint8Array | Promise<string | Uint8Array>;
}

export interface CallOptions {
  signal?: AbortSignal;
}

export type Phase = "hashing" | "uploading" | "confirming" | "done";

export interface UploadProgress {
  phase: Phase;
  /** Bytes hashed or sent so far; it never falls within a phase. */
  loaded: number;
  total: number;
}

export interface UploadOptions extends CallOptions {
  onProgress?: (progress: UploadProgress) => void;
  /** Instead of the file's own. */
  fileName?: string;
  mimeType?: string;
  /** At most 16 entries. */
  metadata?: Record<string, string>;
  /** The file's SHA-256, hexadecimal, if you know it: it is not read twice then. */
  checksum?: string;
}

/** Sends a message with the media once it is there. */
export interface UploadToConversation extends UploadOptions {
  conversation: string;
  content?: string;
  messageType?: string;
  /** A message with the same id is sent once, however often the call is repeated. */
  clientMessageId?: string;
}

export interface ManyProgress extends UploadProgress {
  file: Blob;
  index: number;
  /** Bytes of all files together. */
  allLoaded: number;
  allTotal: number;
}

export type Settled = { status: "fulfilled"; value: Media } | { status: "rejected"; reason: unknown };

export interface UploadManyOptions extends Omit<UploadOptions, "onProgress" | "checksum" | "fileName" | "mimeType"> {
  /** Files at the same time; the client's `parallelFiles`. */
  parallel?: number;
  onProgress?: (progress: ManyProgress) => void;
  onSettled?: (outcome: Settled, file: Blob, index: number) => void;
}

export type MediaStatus = "pending" | "completed" | "failed" | "expired" | "deleted";
export type MediaType = "image" | "video" | "audio" | "document";

export interface Media {
  media_id: string;
  status: MediaStatus;
  file_name: string;
  file_size: number;
  mime_type: string;
  media_type: MediaType;
  /** SHA-256, hexadecimal. */
  checksum: string;
  uploaded_by: string;
  uploaded_at: string;
  confirmed_at: string | null;
  width: number | null;
  height: number | null;
  duration_seconds: number | null;
  expires_at: string | null;
  failure: string | null;
  metadata: Record<string, string>;
  cdn_url: string | null;
  url: string | null;
  url_expires_at: string | null;
}

export interface MediaPage {
  items: Media[];
  next_cursor: string | null;
}

export interface PartProgress {
  part_number: number;
  size: number;
  arrived: boolean;
}

export interface ArrivedParts {
  media_id: string;
  part_size: number;
  parts: PartProgress[];
  expires_at: string;
}

export interface NewMessage {
  conversation_id: string;
  content?: string;
  media_ids?: string[];
  message_type?: string;
  /** Made up when absent, so that a message is sent once although the call may be repeated on the way. */
  client_message_id?: string;
}

export interface Message {
  message_id: string;
  conversation_id: string;
  sender: string;
  content: string;
  message_type: string;
  media_ids: string[];
  client_message_id: string | null;
  sent_at: string;
  media: Media[];
}

export interface MessagePage {
  items: Message[];
  next: string | null;
}

export interface ListOptions extends CallOptions {
  cursor?: string | null;
  limit?: number;
  status?: MediaStatus;
  mediaType?: MediaType;
}

export interface Client {
  /**
   * Hashes, announces, sends and confirms a file; answers the completed media. Called again with the same file, on
   * another page or after a crash, it sends only what had not arrived.
   *
   * Rejects with a MediaBucketError, or with the reason of the signal.
   */
  upload(file: Blob, options: UploadToConversation): Promise<Media & { message: Message }>;
  upload(file: Blob, options?: UploadOptions): Promise<Media>;
  /** What became of each file, in their order; rejects only when it is called wrongly. */
  uploadMany(files: Iterable<Blob>, options?: UploadManyOptions): Promise<Settled[]>;
  sendMessage(message: NewMessage, options?: CallOptions): Promise<Message>;
  /** Newest first. */
  messages(conversationId: string, options?: CallOptions & { before?: string | null; limit?: number }): Promise<MessagePage>;
  /** Your media, newest first. */
  list(options?: ListOptions): Promise<MediaPage>;
  get(mediaId: string, options?: CallOptions): Promise<Media>;
  /** Repeating it changes nothing. */
  delete(mediaId: string, options?: CallOptions): Promise<void>;
  /** Which parts of a pending large file have arrived. */
  parts(mediaId: string, options?: CallOptions): Promise<ArrivedParts>;
  /** For bytes that were sent by other means. */
  confirm(mediaId: string, options?: CallOptions): Promise<Media>;
  /** The hexadecimal SHA-256 of a file of any size. */
  checksum(file: Blob, options?: CallOptions & { onBytes?: (bytes: number) => void }): Promise<string>;
}

/** Throws UsageError without `baseUrl`, and without either `token` or `getToken`. */
export function createClient(options: ClientOptions): Client;

/** SHA-256, piece by piece. */
export class Sha256 implements Hash {
  update(bytes: Uint8Array): this;
  /** 64 hexadecimal digits; from then on nothing can be added. */
  digest(): string;
  bytes(): Uint8Array;
}

/** Every error of this client. */
export class MediaBucketError extends Error {
  /** A sentence for the person in front of the screen. */
  userMessage: string;
  /** Whether the same call may succeed later. */
  retryable: boolean;
  retryAfterSeconds: number | null;
}

/** Nobody answered. */
export class NetworkFailure extends MediaBucketError {}

/** The store refused the bytes. */
export class StoreRefused extends MediaBucketError {
  constructor(status: number, told?: { code?: string | null; retryAfterSeconds?: number | null });
  readonly status: number;
  /** The store's own word, such as `BadDigest`. */
  readonly code: string | null;
}

/** The file changed or went away while it was being read. */
export class FileUnreadable extends MediaBucketError {}

/** The client was used in a way that cannot work. */
export class UsageError extends MediaBucketError {}

/** The upload was begun again and again, and never came to an end. */
export class UploadStuck extends MediaBucketError {}

/** Whether another try may change this status. */
export function isRetryable(status: number, retryAfterSeconds: number | null): boolean;

/** RFC 9457: what the API refuses. */
export interface ProblemDocument {
  type?: string;
  title?: string;
  status: number;
  detail?: string;
  error?: string;
  request_id?: string;
  [member: string]: unknown;
}

/** The API refused. A type that this client does not know is a plain Problem. */
export class Problem extends MediaBucketError {
  constructor(document: ProblemDocument, told?: { retryAfterSeconds?: number | null });
  readonly document: ProblemDocument;
  readonly type: string;
  /** The last word of `type`. */
  readonly slug: string | null;
  readonly title: string;
  readonly status: number;
  /** A sentence for developers: what was wrong, what was expected, what to do. */
  readonly detail: string;
  readonly requestId: string | null;
}

export class MalformedRequest extends Problem {
  readonly errors: { field: string; message: string }[];
}
export class FileTooLarge extends Problem {}
export class TypeNotAllowed extends Problem {}
export class Unauthenticated extends Problem {}
export class Forbidden extends Problem {}
export class RouteNotFound extends Problem {}
export class MediaNotFound extends Problem {}
export class MethodNotAllowed extends Problem {}
export class UploadMissing extends Problem {
  readonly missingParts: number[];
}
export class ConfirmInProgress extends Problem {}
export class MediaInUse extends Problem {}
export class NoPartsExpected extends Problem {}
export class UploadExpired extends Problem {}
export class MediaDeleted extends Problem {}
export class RequestTooLarge extends Problem {}
export class UploadMismatch extends Problem {}
export class TooManyRequests extends Problem {}
export class InternalError extends Problem {}
export class DependencyUnavailable extends Problem {}

/** All classes of problems. */
export const PROBLEMS: readonly (typeof Problem & { readonly slug: string })[];

/** The error for an answer of the API. */
export function problemOf(status: number, document: unknown, told?: { retryAfterSeconds?: number | null }): Problem;
