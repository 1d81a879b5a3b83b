/** A picture to be packed; its bytes are read only when its turn comes. */
export interface SourceEntry {
  /** Unique name inside the pack. */
  key: string;
  /** Where it comes from, for reports. */
  file: string;
  captions: readonly string[];
  /** Why there is no caption, when there is none. */
  captionFault?: string;
  /** Free properties to choose by later. */
  labels?: Readonly<Record<string, string>>;
  /** Encoded bytes. */
  read: () => Promise<Uint8Array>;
}

/** Something that was left out, and why. */
export interface Refusal {
  file: string;
  reason: string;
}

/** Pictures to be packed, and what was already refused while they were listed. */
export interface PackSource {
  /** Where the pictures come from, for reports. */
  origin: string;
  entries: readonly SourceEntry[];
  refused: readonly Refusal[];
}
