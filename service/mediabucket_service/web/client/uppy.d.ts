/** An Uppy uploader over the client: `uppy.use(mediaBucketUploader(BasePlugin), { client })`. */

import type { BasePlugin, Body, Meta, PluginOpts, Uppy, UppyFile } from "@uppy/core";
import type { Client } from "./mediabucket.js";

export interface MediaBucketUploaderOptions extends PluginOpts {
  client: Client;
  /** Files at the same time; 3. */
  limit?: number;
  /** What is kept with the media of a file; at most 16 entries. */
  metadata?: (file: UppyFile<Meta, Body>) => Record<string, string> | undefined;
}

/** `Base`: the class BasePlugin of @uppy/core. */
export function mediaBucketUploader(
  Base: typeof BasePlugin,
): new <M extends Meta, B extends Body>(
  uppy: Uppy<M, B>,
  options: MediaBucketUploaderOptions,
) => BasePlugin<MediaBucketUploaderOptions, M, B>;
