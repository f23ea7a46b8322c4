// Child of replay-memory: writes a log of so many bytes, replays it, or does nothing at all, and prints what it came to.

const [step, folder = '', bytes = '0'] = process.argv.slice(2);

const tally = step === 'write' ? await write(folder, Number(bytes)) : step === 'replay' ? await replay(folder) : {};
console.log(JSON.stringify({ ...tally, maxRssKib: process.resourceUsage().maxRSS }));

/**
 * @param {string} root
 * @param {number} size
 */
async function write(root, size) {
  const { FsDirectory, WalWriter, walEntryCodec } = await import('../../../dist/index.js');
  const wal = await WalWriter.open(await FsDirectory.open(root), { codec: walEntryCodec });
  let written = 0;
  let count = 0;
  let sum = 0;
  while (written < size) {
    for (let index = 0; index < 4096; index++) {
      const entry = entryOf(count);
      wal.append(entry);
      count++;
      sum += weightOf(entry);
    }
    written += wal.stagedBytes;
    await wal.flush();
  }
  await wal.close();
  return { count, sum };
}

/** @param {string} root */
async function replay(root) {
  const { FsDirectory, WalReader, walEntryCodec } = await import('../../../dist/index.js');
  let count = 0;
  let sum = 0;
  await new WalReader(await FsDirectory.open(root), { codec: walEntryCodec }).replayEach(({ entry }) => {
    count++;
    sum += weightOf(entry);
  });
  return { count, sum };
}

/**
 * Mostly small entries, and a thousand bytes every now and then.
 *
 * @param {number} index
 * @returns {import('../../../dist/wal/index.js').WalEntry}
 */
function entryOf(index) {
  if (index % 8 > 0) return { type: 'AddSegment', segmentId: index + 1, docCount: index % 1000 };
  return { type: 'DeleteDocuments', deletes: Array.from({ length: 200 }, (_, docId) => [index, docId]) };
}

/** @param {import('../../../dist/wal/index.js').WalEntry} entry */
function weightOf(entry) {
  return entry.type === 'AddSegment' ? entry.docCount : entry.type === 'DeleteDocuments' ? entry.deletes.length : 0;
}
