// Ways in which the library could be wrong, each as a change of its compiled code, and the test that fails because of
// it. A change must fit exactly one place: when the code moves on, the table has to.

export interface Mutant {
  /** What it does wrong. */
  readonly name: string;
  /** Compiled file, below `dist/`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** The test that must fail: its file below `test/`, and its whole title. */
  readonly killedBy: { readonly file: string; readonly title: string };
}

const logScripts = { file: 'crash/scripts.test.ts', title: 'Every short script, cut at every moment: log scripts' };
const chains = {
  file: 'crash/scripts.test.ts',
  title: 'Every short script, cut at every moment: chains of checkpoints',
};
const interrupted = {
  file: 'crash/single-point-faults.test.ts',
  title: 'A fault at every single operation: EINTR at any operation',
};
const unsyncedName = {
  file: 'store/truncate.test.ts',
  title: 'lets nothing go for a checkpoint whose name a power cut may take',
};
const storeScripts = { file: 'crash/scripts.test.ts', title: 'Every short script, cut at every moment: store scripts' };

export const mutants: readonly Mutant[] = [
  {
    name: 'syncs no entries',
    file: 'wal/segment-file.js',
    find: `        await this.#file.datasync();
        this.#unsynced = false;`,
    replace: `        this.#unsynced = false;`,
    killedBy: logScripts,
  },
  {
    name: 'writes a durable append without a sync',
    file: 'wal/segment-file.js',
    find: `await writeFullyDurably(this.#file, bytes, this.end);`,
    replace: `await writeFully(this.#file, bytes, this.end);`,
    killedBy: logScripts,
  },
  {
    name: 'acknowledges before the sync',
    file: 'wal/commit-loop.js',
    find: `            if (waiter.id > (waiter.sync ? this.durableId : this.flushedId))`,
    replace: `            if (waiter.id > this.flushedId)`,
    killedBy: logScripts,
  },
  {
    name: 'acknowledges before the durable write',
    file: 'wal/commit-loop.js',
    find: `            await this.#segment.appendDurably(frames, markBytes);`,
    replace: `{
            this.flushedId = lastId;
            this.#durable(lastId);
            this.#answer();
            await this.#segment.appendDurably(frames, markBytes);
        }`,
    killedBy: logScripts,
  },
  {
    name: 'does not sync the folder of a new segment',
    file: 'wal/segment-file.js',
    find: `            await file.datasync();
            await directory.syncDirectory(layout.folder);`,
    replace: `            await file.datasync();`,
    killedBy: logScripts,
  },
  {
    name: 'does not sync the header of a new segment',
    file: 'wal/segment-file.js',
    find: `            await file.datasync();
            await directory.syncDirectory(layout.folder);`,
    replace: `            await directory.syncDirectory(layout.folder);`,
    killedBy: logScripts,
  },
  {
    name: 'does not sync the folder after a rename',
    file: 'storage/durable.js',
    find: `        throw error;
    }
    await directory.syncDirectory(parentOf(normal));`,
    replace: `        throw error;
    }`,
    killedBy: logScripts,
  },
  {
    name: 'does not sync the folder after a removal',
    file: 'storage/durable.js',
    find: `            throw error;
    }
    await directory.syncDirectory(parentOf(normalizePath(path)));`,
    replace: `            throw error;
    }`,
    killedBy: logScripts,
  },
  {
    name: 'does not sync the parent of a new folder',
    file: 'storage/durable.js',
    find: `    await directory.syncDirectory(parent);`,
    replace: ``,
    killedBy: logScripts,
  },
  {
    name: 'syncs a checkpoint only after it was renamed',
    file: 'storage/durable.js',
    find: `            await fill(file);
            await file.datasync();`,
    replace: `            await fill(file);`,
    killedBy: logScripts,
  },
  {
    name: 'does not sync the old segment when the log rolls',
    file: 'wal/commit-loop.js',
    find: `        await old.finish(spares !== undefined && spares.capacity > 0);
        this.#durable(this.flushedId);`,
    replace: `        this.#durable(this.flushedId);`,
    killedBy: logScripts,
  },
  {
    name: 'tries a failed sync again',
    file: 'wal/segment-file.js',
    find: `        await this.#file.datasync();
        this.#unsynced = false;`,
    replace: `        await this.#file.datasync().catch(() => this.#file.datasync());
        this.#unsynced = false;`,
    killedBy: {
      file: 'crash/single-point-faults.test.ts',
      title: 'A fault at every single operation: a sync that fails and loses what it should have written',
    },
  },
  {
    name: 'does not write again what opening found',
    file: 'wal/open-log.js',
    find: `    if (isInWrittenSector(from, end.validEnd) || !(await writeAnew(directory, examined, random))) {`,
    replace: `    if (false) {`,
    killedBy: {
      file: 'crash/power-cuts.test.ts',
      title: 'A power cut after a sync that failed takes no entry that a later process acknowledged or was shown',
    },
  },
  {
    name: 'writes again in place what opening found',
    file: 'wal/open-log.js',
    find: `    if (isInWrittenSector(from, end.validEnd) || !(await writeAnew(directory, examined, random))) {`,
    replace: `    {`,
    killedBy: {
      file: 'crash/power-cuts.test.ts',
      title: 'A power cut after a sync that failed takes no entry that a later process acknowledged or was shown',
    },
  },
  {
    name: 'does not write again the rest of a sector',
    file: 'wal/open-log.js',
    find: `        await copy(file, file, from, end.validEnd);`,
    replace: ``,
    killedBy: {
      file: 'crash/single-point-faults.test.ts',
      title: 'A fault at every single operation: a sync that fails and loses what it should have written',
    },
  },
  {
    name: 'leaves a torn tail in the file',
    file: 'wal/open-log.js',
    find: `        if (end.validEnd < fileSize)
            await file.truncate(end.validEnd);`,
    replace: ``,
    killedBy: logScripts,
  },
  {
    name: 'leaves the checksum of a frame to its payload alone',
    file: 'bytes/crc32.js',
    find: `export function crc32Behind(word0, word1, word2, view, start, end, seed) {`,
    replace: `export function crc32Behind(word0, word1, word2, view, start, end, seed) {
    return crc32(bytesOf(view), start, end, seed);`,
    killedBy: logScripts,
  },
  {
    name: 'draws no salt',
    file: 'wal/staging.js',
    find: `    return readU32(random(4), 0);`,
    replace: `    return 0;`,
    killedBy: {
      file: 'crash/single-rules.test.ts',
      title: 'What lay on the disk before is not taken for entries',
    },
  },
  {
    name: 'takes any damage for the end of the log',
    file: 'wal/tail.js',
    find: `        if (lastId < durableId)
            throw`,
    replace: `        if (false)
            throw`,
    killedBy: {
      file: 'crash/power-cuts.test.ts',
      title: 'A power cut after a sync that failed is told apart from damage to what was acknowledged',
    },
  },
  {
    name: 'takes any whole frame behind damage for a loss',
    file: 'wal/tail.js',
    find: `        if (header.version !== 4) {`,
    replace: `        {`,
    killedBy: logScripts,
  },
  {
    name: 'removes what a checkpoint covers before it is written',
    file: 'checkpoint/checkpoint-publisher.js',
    find: `        await wal.flushAndSync();`,
    replace: `        await wal.flushAndSync();
        await new WalMaintenance(wal).truncatePrefix(lastAppliedId);`,
    killedBy: logScripts,
  },
  {
    name: 'writes a checkpoint before the log is synced up to it',
    file: 'checkpoint/checkpoint-publisher.js',
    find: `        await wal.flushAndSync();`,
    replace: ``,
    killedBy: logScripts,
  },
  {
    name: 'removes the newest covered segment first',
    file: 'wal/wal-maintenance.js',
    find: `        for (const [index, segment] of ranges.entries()) {`,
    replace: `        const covered = ranges.filter((segment, index) => index < ranges.length - alwaysKept && segment.endEntryId <= lastEntryId);
        if (options.dryRun !== true)
            for (const { path } of covered.reverse())
                await removeDurable(this.#directory, path);
        for (const [index, segment] of ranges.entries()) {
            if (covered.includes(segment)) {
                removed.push(segment);
                continue;
            }`,
    killedBy: {
      file: 'wal/wal-maintenance.test.ts',
      title: 'makes each removal durable before the next: a power cut in between leaves no hole',
    },
  },
  {
    name: 'removes a segment although the one that follows is not proven durable',
    file: 'wal/wal-maintenance.js',
    find: `(await holdsFrame(this.#directory, segments.at(-1))) ? 1 : 2`,
    replace: `1`,
    killedBy: {
      file: 'hazards/durability-and-crash-holes.test.ts',
      title: 'B07 truncation beside a segment that is still being made leaves a log that a power cut cannot close',
    },
  },
  {
    name: 'offers a segment for use again before its name is on the disk',
    file: 'wal/spare-segments.js',
    find: `        await renameDurable(this.#directory, path, spare.path);
        this.#ready.push(spare);`,
    replace: `        this.#ready.push(spare);
        await renameDurable(this.#directory, path, spare.path);`,
    killedBy: {
      file: 'wal/spare-segments.test.ts',
      title:
        'A file is not used again before its spare name is on the disk: a power cut brings no segment back with a header of another',
    },
  },
  {
    name: 'writes over a segment that is in the log, under another name of its file',
    file: 'wal/spare-segments.js',
    find: `spares.#ready.length < capacity && !segmentIds.includes(spare.segmentId)`,
    replace: `spares.#ready.length < capacity`,
    killedBy: {
      file: 'wal/spare-segments.test.ts',
      title: 'A file is not used again as long as its segment is in the log, under both names of one file',
    },
  },
  {
    name: 'writes over whatever has the name of a spare segment',
    file: 'wal/spare-segments.js',
    find: `return !('torn' in header) && header.segmentId === segmentId && header.logId === this.#logId;`,
    replace: `return true;`,
    killedBy: {
      file: 'wal/spare-segments.test.ts',
      title:
        'A file is not used again under a spare name that a segment had before it, though both are names of one file',
    },
  },
  {
    name: 'does not sync the new header of a segment that is used again',
    file: 'wal/segment-file.js',
    find: `            await unnamed.datasync();`,
    replace: ``,
    killedBy: logScripts,
  },
  {
    name: 'writes the new header only once the segment has its name',
    file: 'wal/segment-file.js',
    find: `            await writeFully(unnamed, head, 0);`,
    replace: `            await renameDurable(directory, spare, path);
            await writeFully(unnamed, head, 0);`,
    killedBy: logScripts,
  },
  {
    name: 'does not sync the name of a segment that is used again',
    file: 'wal/segment-file.js',
    find: `        await renameDurable(directory, spare, path);`,
    replace: `        await directory.rename(spare, path);`,
    killedBy: logScripts,
  },
  {
    name: 'writes no end mark',
    file: 'wal/commit-loop.js',
    find: `        const markBytes = this.#segment.hasRoomBehind(bytes) ? CONTROL_FRAME_BYTES : 0;`,
    replace: `        const markBytes = 0;`,
    killedBy: {
      file: 'wal/spare-segments.test.ts',
      title:
        'A segment that is used again ends where its last write did, when its process ends: nothing was interrupted',
    },
  },
  {
    name: 'takes an end mark for the end without looking behind it',
    file: 'wal/tail.js',
    find: `(damage !== undefined || scanner.ended))
        durableId`,
    replace: `damage !== undefined)
        durableId`,
    killedBy: {
      file: 'wal/spare-segments.test.ts',
      title:
        'A segment that is used again shows damage to what was acknowledged, before an end mark and behind an old one',
    },
  },
  {
    name: 'takes a segment that is used again while it is read for a damaged one',
    file: 'wal/tail.js',
    find: `    throw new NotFoundError('The segment was truncated, and its file is used for another one', { path });`,
    replace: ``,
    killedBy: {
      file: 'wal/spare-segments.test.ts',
      title:
        'Who reads a segment while it is truncated and used again is told so, in memory, and is shown nothing wrong before',
    },
  },
  {
    name: 'takes the end of a segment that is used again for the end of the one that was read',
    file: 'wal/tail.js',
    find: `    await checkStillThere(file, segment);
    if (scanner.damage !== undefined || scanner.ended) {`,
    replace: `    if (scanner.damage !== undefined || scanner.ended) {
        await checkStillThere(file, segment);`,
    killedBy: {
      file: 'wal/spare-segments.test.ts',
      title:
        'Who reads a segment while it is truncated and used again is told so where the new segment is shorter, and ends where a window of the reader did (strict, true)',
    },
  },
  {
    name: 'removes a segment although the removal before may be undone',
    file: 'wal/wal-maintenance.js',
    find: `                if (removed.length === 0)
                    await this.#directory.syncDirectory(walLayout.folder);`,
    replace: ``,
    killedBy: {
      file: 'wal/wal-maintenance.test.ts',
      title:
        'leaves no hole where it is tried again after a sync of the folder had failed, with 0 segments to be used again',
    },
  },
  {
    name: 'takes a segment that is being made for a damaged one',
    file: 'wal/segment-chain.js',
    find: `            const again = await read();`,
    replace: `            const again = header;`,
    killedBy: {
      file: 'wal/reading-beside-a-writer.test.ts',
      title: 'that meets a segment which is being made takes it for no damage',
    },
  },
  {
    name: 'begins with entry 1 where only a checkpoint is left',
    file: 'wal/open-log.js',
    find: `    let lastId = durableId;`,
    replace: `    let lastId = 0;`,
    killedBy: {
      file: 'recovery/open-with-recovery.test.ts',
      title: 'goes on behind the newest checkpoint when the log is gone, so that no id comes twice',
    },
  },
  {
    name: 'takes a short write for a whole one',
    file: 'storage/full-io.js',
    find: `        checkCount(count, source.length - done, file, offset + done, 'write');`,
    replace: `        return;`,
    killedBy: {
      file: 'crash/single-point-faults.test.ts',
      title: 'A fault at every single operation: a write that is one byte short',
    },
  },
  {
    name: 'takes a read error for the end of the file',
    file: 'storage/full-io.js',
    find: `        const count = await file.read(done === 0 ? target : target.subarray(done), offset + done);`,
    replace: `        const count = await file.read(done === 0 ? target : target.subarray(done), offset + done).catch(() => 0);`,
    killedBy: {
      file: 'storage/full-io.test.ts',
      title: 'A disk that cannot be read is not a file that ends',
    },
  },
  {
    name: 'takes a short read for the end of the file',
    file: 'storage/full-io.js',
    find: `        checkCount(count, target.length - done, file, offset + done, 'read');`,
    replace: `        return done + count;`,
    killedBy: {
      file: 'crash/single-point-faults.test.ts',
      title: 'A fault at every single operation: a read of one byte',
    },
  },
  {
    name: 'goes on after a failed operation',
    file: 'wal/commit-loop.js',
    find: `        this.failure = failure;`,
    replace: `this.#flushTarget = this.flushedId = last;
        this.#syncTarget = this.durableId;`,
    killedBy: {
      file: 'crash/single-point-faults.test.ts',
      title: 'A fault at every single operation: ENOSPC where something is made longer, once',
    },
  },
  {
    name: 'goes on before its write is done',
    file: 'wal/commit-loop.js',
    find: `await this.#segment.append(frames, markBytes);
        this.flushedId`,
    replace: `void this.#segment.append(frames, markBytes);
        this.flushedId`,
    killedBy: {
      file: 'crash/single-rules.test.ts',
      title: 'What is appended does not change while it waits for the disk, whatever is appended meanwhile',
    },
  },
  {
    name: 'writes the frames of a batch as entries of their own',
    file: 'wal/staging.js',
    find: `index < sizes.length - 1 ? FLAG_MORE : 0`,
    replace: `0`,
    killedBy: logScripts,
  },
  {
    name: 'shows what is not durable yet',
    file: 'store/append-pipeline.js',
    find: `durability === 'memory' && this.#uncommitted === 0`,
    replace: `this.#uncommitted === 0`,
    killedBy: storeScripts,
  },
  {
    name: 'writes the records of an append one by one',
    file: 'store/file-engine.js',
    find: `                    wal.appendBatch(group);`,
    replace: `                    for (const entry of group)
                        wal.append(entry);`,
    killedBy: storeScripts,
  },
  {
    name: 'notes a record as handled before it is',
    file: 'store/subscription.js',
    find: `                this.#handling = true;
                let goesOn;`,
    replace: `                this.#handled = record.position;
                this.#note();
                await this.#noting;
                this.#handling = true;
                let goesOn;`,
    killedBy: storeScripts,
  },
  {
    name: 'leaves the answers to commands out of checkpoints',
    file: 'store/checkpoint-items.js',
    find: `of receipts.entries()) {`,
    replace: `of []) {`,
    killedBy: storeScripts,
  },
  {
    name: 'writes the checkpoint of a store before its log is synced',
    file: 'store/checkpointer.js',
    find: `            await sync();`,
    replace: ``,
    killedBy: storeScripts,
  },
  {
    name: 'keeps the data of its caller instead of a copy',
    file: 'aggregate/event.js',
    find: `return Object.freeze({ type, data: copyPlainData(data, 'data') });`,
    replace: `return Object.freeze({ type, data });`,
    killedBy: {
      file: 'crash/single-rules.test.ts',
      title: 'What is appended does not change when its caller changes it afterwards',
    },
  },
  {
    name: 'takes a sync that was interrupted for one that was done',
    file: 'wal/segment-file.js',
    find: `        await this.#file.datasync();
        this.#unsynced = false;`,
    replace: `        await this.#file.datasync().catch((error) => {
            if (error.errno !== 'EINTR')
                throw error;
        });
        this.#unsynced = false;`,
    killedBy: interrupted,
  },
  {
    name: 'takes a read that was interrupted for the end of the file',
    file: 'storage/full-io.js',
    find: `        const count = await file.read(done === 0 ? target : target.subarray(done), offset + done);`,
    replace: `        const count = await file.read(done === 0 ? target : target.subarray(done), offset + done).catch((error) => {
            if (error.errno === 'EINTR')
                return 0;
            throw error;
        });`,
    killedBy: {
      file: 'storage/full-io.test.ts',
      title: 'A disk that cannot be read is not a file that ends',
    },
  },
  {
    name: 'counts a damaged checkpoint of a log among those that it keeps',
    file: 'checkpoint/checkpoint-publisher.js',
    find: `            else if (await this.#isWhole(checkpoint.path))`,
    replace: `            else`,
    killedBy: {
      file: 'checkpoint/checkpoint-publisher.test.ts',
      title: 'does not count one that is damaged in its middle among those that are kept',
    },
  },
  {
    name: 'removes the older checkpoint of a log before the newer one was read back',
    file: 'checkpoint/checkpoint-publisher.js',
    find: `        await this.#readBack(path, written.bytes);`,
    replace: ``,
    killedBy: {
      file: 'checkpoint/checkpoint-publisher.test.ts',
      title: 'that does not read back as it was written is taken away again, and nothing else happens',
    },
  },
  {
    name: 'counts a damaged checkpoint of a store among those that it keeps',
    file: 'store/checkpointer.js',
    find: `            if (damaged === undefined)
                return chains;`,
    replace: `            return chains;`,
    killedBy: {
      file: 'store/checkpoint-chain.test.ts',
      title: 'stay two whole ones when one is damaged, whoever found that out has ended, and another one is damaged',
    },
  },
  {
    name: 'removes the older checkpoint of a store before the newer one was read back',
    file: 'store/file-engine.js',
    find: `            await CheckpointFile.verify(this.#directory, path, this.#pause);`,
    replace: ``,
    killedBy: {
      file: 'store/checkpoint.test.ts',
      title: 'because it does not read back as it was written is taken away, and the older ones stay',
    },
  },
  {
    name: 'removes what a checkpoint of changes builds on',
    file: 'store/checkpointer.js',
    find: `!this.#isOwn(checkpoint) || needed.has(position) || position >= oldest.position`,
    replace: `!this.#isOwn(checkpoint) || kept.some((chain) => chain.at(-1).position === position)`,
    killedBy: {
      file: 'store/checkpoint-chain.test.ts',
      title: 'are kept whole, two of them, and the log behind the older one',
    },
  },
  {
    name: 'lets the log go behind the newest checkpoint, though an older one is kept to fall back to',
    file: 'store/checkpointer.js',
    find: `        const oldest = kept[this.#retain - 1]?.at(-1);
        return oldest`,
    replace: `        const oldest = kept[0]?.at(-1);
        return oldest`,
    killedBy: chains,
  },
  {
    name: 'leaves every other stream out of a checkpoint of changes',
    file: 'store/cells.js',
    find: `        const cells = what === 'all' ? this.#cells : changed;`,
    replace: `        const cells = what === 'all' ? this.#cells : changed.filter((_, index) => index % 2 === 0);`,
    killedBy: chains,
  },
  {
    name: 'forgets what a checkpoint of changes that failed would have had',
    file: 'store/checkpointer.js',
    find: `            encoded.undo();`,
    replace: ``,
    killedBy: {
      file: 'store/checkpoint-chain.test.ts',
      title: 'has in it what a failed one before it would have had',
    },
  },
  {
    name: 'keeps a failed sync to itself if only a checkpoint in the background met it',
    file: 'store/append-pipeline.js',
    find: `append.tells ? this.#tell(this.failure) : this.failure`,
    replace: `this.#tell(this.failure)`,
    killedBy: {
      file: 'store/close.test.ts',
      title: 'reports a failed disk if only a checkpoint in the background met it',
    },
  },
  {
    name: 'lets the log go because of a checkpoint that is still being written',
    file: 'store/checkpointer.js',
    find: `!this.#unconfirmed.has(checkpoint.position)`,
    replace: `true`,
    killedBy: unsyncedName,
  },
  {
    name: 'does not sync the names of checkpoints that a dead process left',
    file: 'store/file-engine.js',
    find: `                await directory.syncDirectory(CHECKPOINTS);`,
    replace: ``,
    killedBy: unsyncedName,
  },
];
