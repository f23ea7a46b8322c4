// A log whose state is the list of its entries: whatever recovery gives must be exactly the first so many of them, and
// anything lost, doubled or out of order shows.

import { CheckpointPublisher, recoverWithWal, WalWriter } from 'cairnlog';
import type { Directory, RecoverOptions, Recovery, WalWriterOptions } from 'cairnlog';
import type { CheckpointPublisherOptions, PublishResult } from 'cairnlog/checkpoint';
import { textCodec } from './text-codec.js';

type PublisherOptions = Omit<CheckpointPublisherOptions<string, string>, 'wal' | 'codec' | 'makeEntry'>;

export class Journal {
  readonly wal: WalWriter<string>;
  /** Every entry since the first, marks of checkpoints too: entry `n` is `written[n - 1]`. */
  readonly written: string[];
  readonly #publisher: CheckpointPublisher<string, string>;

  private constructor(wal: WalWriter<string>, written: string[], options: PublisherOptions) {
    this.wal = wal;
    this.written = written;
    this.#publisher = new CheckpointPublisher<string, string>({
      ...options,
      wal,
      codec: textCodec,
      makeEntry: (path) => {
        const mark = `mark ${path}`;
        this.written.push(mark);
        return mark;
      },
    });
  }

  static async open(
    directory: Directory,
    options: Partial<WalWriterOptions<string>> & {
      readonly written?: string[];
      readonly publisher?: PublisherOptions;
    } = {},
  ): Promise<Journal> {
    const { written = [], publisher = {}, ...rest } = options;
    return new Journal(await WalWriter.open(directory, { codec: textCodec, ...rest }), written, publisher);
  }

  /** Appends so many entries that say their own ids, durably. */
  async append(count: number): Promise<void> {
    for (let left = count; left > 0; left--) {
      const entry = `entry ${this.wal.nextEntryId}`;
      this.written.push(entry);
      this.wal.append(entry);
    }
    await this.wal.flushAndSync();
  }

  /** Publishes a checkpoint of everything written so far. */
  publish(): Promise<PublishResult> {
    const { lastEntryId } = this.wal;
    return this.#publisher.publish(this.written.slice(0, lastEntryId), lastEntryId);
  }
}

type JournalRecoverOptions = Pick<RecoverOptions<string, string, string[]>, 'mode' | 'upTo' | 'checkpointPath'>;

/** The entries that recovery finds. */
export function recoverJournal(directory: Directory, options: JournalRecoverOptions = {}): Promise<Recovery<string[]>> {
  return recoverWithWal<string, string, string[]>(directory, {
    walCodec: textCodec,
    checkpointCodec: textCodec,
    init: () => [],
    restore: (entries, entry) => [...entries, entry],
    apply: (entries, { entry }) => [...entries, entry],
    ...options,
  });
}
