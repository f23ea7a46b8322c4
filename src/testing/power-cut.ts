// What a power cut may do to what was not synced, as choices that a test makes: one for every page, size and name.

/** What becomes of unsynced data and names at a power cut. Each is asked for every single item. */
export interface PowerCut {
  /** Bytes that are written or lost together. Default 512, a sector; a page of the system is 4096. */
  readonly pageBytes?: number;
  /** What an unsynced page holds afterwards. `file` is the file's number, which no rename changes. */
  readonly page: (path: string, page: number, file: number) => PageFate;
  /** Does an unsynced change of a file's size reach the disk? A page that is beyond the size is lost with it. */
  readonly size: (path: string, file: number) => boolean;
  /**
   * Does an unsynced change of names reach the disk? Asked in the order in which they were made. `both`: of a rename,
   * the new name is there and the old one is still there.
   */
  readonly name: (change: NameChange) => boolean | 'both';
  /** What garbage is: what lay on the disk there before. Default: a pattern that means nothing. `offset` in the file. */
  readonly garbage?: (path: string, offset: number) => Uint8Array | undefined;
  /** A write that was on its way: these bytes of it reached the disk, whatever becomes of everything else. */
  readonly arriving?: { readonly path: string; readonly offset: number; readonly bytes: Uint8Array };
}

/** It was written (`new`), keeps what was there (`old`), reads as zeros or garbage, or so many of its bytes are new. */
export type PageFate = 'new' | 'old' | 'zero' | 'garbage' | number;

/** An unsynced change of a directory. */
export interface NameChange {
  readonly kind: 'link' | 'unlink' | 'rename';
  readonly path: string;
  /** Of `rename`: where to. */
  readonly to?: string;
}

/**
 * What a sync that fails leaves behind. `clean`: what was not written counts as written and reads as new. `unwritable`:
 * the same, and where the file had no bytes on the platter before, none will ever get there: later syncs say that all is
 * well and leave zeros, until the file is cut off before that. So does ext4 on Linux 6.18. `reverted`: the file reads as
 * it did before, as on btrfs. Default `unwritable`, the worst of them.
 */
export interface SyncFailure {
  readonly leaves?: 'clean' | 'unwritable' | 'reverted';
  /** Unsynced sectors that were written all the same. Default: none. */
  readonly wrote?: (sector: number) => boolean;
}

/** All unsynced data and names are lost: the harshest power cut. */
export const loseEverything: PowerCut = { page: () => 'old', size: () => false, name: () => false };

/** Everything happens to have reached the disk: as when only the process ends. */
export const loseNothing: PowerCut = { page: () => 'new', size: () => true, name: () => true };
