import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { AlreadyExistsError, CairnError, FsDirectory, StorageError } from 'cairnlog';
import { rejects } from '../support/rejects.js';
import { temporaryFolder } from '../support/temporary-folder.js';

describe('the root of an FsDirectory', () => {
  it('is made with all its missing parents, and taken as it is when it is there', async () => {
    const folder = path.join(temporaryFolder(), 'a/b/c');
    const directory = await FsDirectory.open(folder);
    expect(directory.root).to.equal(fs.realpathSync(folder));
    await directory.makeDirectory('kept');
    expect(await (await FsDirectory.open(folder)).list('')).to.deep.equal(['kept']);
  });

  it('is made once by two that open it at the same time', async () => {
    const folder = path.join(temporaryFolder(), 'a/b/c');
    const [one, other] = await Promise.all([FsDirectory.open(folder), FsDirectory.open(folder)]);
    expect(one.root).to.equal(other.root);
  });

  it('is refused where a file is in the way', async () => {
    const file = path.join(temporaryFolder(), 'file');
    fs.writeFileSync(file, '');
    expect((await rejects(FsDirectory.open(file), AlreadyExistsError)).message).to.include('where a folder should be');
    expect((await rejects(FsDirectory.open(path.join(file, 'a/b')), StorageError)).errno).to.equal('ENOTDIR');
  });

  it('is refused behind a symlink that leads nowhere', async () => {
    const link = path.join(temporaryFolder(), 'link');
    fs.symlinkSync('nowhere', link);
    await rejects(FsDirectory.open(path.join(link, 'a')), CairnError);
  });

  it('is refused, not tried forever, in a folder that takes no new names', function () {
    if (process.platform !== 'linux') {
      console.log('      skipped: /proc is needed');
      return this.skip();
    }
    // In a process of its own: what is tested for keeps a thread busy that nobody can stop.
    const script = `import { FsDirectory } from 'cairnlog';
      await FsDirectory.open('/proc/nowhere/a/b').catch((error) => console.log(error.code));`;
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { timeout: 10_000 });
    expect(output.toString()).to.equal('CAIRN_NOT_FOUND\n');
  });
});
