import { expect } from 'chai';
import { FsDirectory, LockError, StorageError, WalWriter } from 'cairnlog';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { Child, endChildren, startThread } from '../support/child-process.js';
import { lockProviders, providersHere, type ProviderName } from '../support/lock-providers.js';
import { rejects } from '../support/rejects.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { textCodec } from '../support/text-codec.js';

function openWith(provider: ProviderName, folder: string): Promise<FsDirectory> {
  return FsDirectory.open(folder, { lockProvider: lockProviders[provider]() });
}

/** A child that holds the lock. */
async function holder(folder: string, provider: ProviderName): Promise<Child> {
  const child = new Child('hold-lock', [folder, provider]);
  expect(await child.line()).to.equal('held');
  return child;
}

function missing(program: string): boolean {
  return spawnSync(program, ['--version']).error !== undefined;
}

for (const provider of providersHere)
  describe(`A lock by ${provider}`, () => {
    afterEach(endChildren);

    it('refuses a second writer in the same process and names it', async () => {
      const folder = temporaryFolder();
      const first = await WalWriter.open(await openWith(provider, folder), { codec: textCodec });
      // Through the same directory and through another one of the same folder.
      for (const directory of [first.directory, await openWith(provider, folder)]) {
        const error = await rejects(WalWriter.open(directory, { codec: textCodec }), LockError);
        expect(error.pid).to.equal(process.pid);
        expect(error.message).to.include(`Process ${process.pid}`).and.to.include('Close it there first');
      }
      expect(await first.appendDurable('unharmed')).to.equal(1);
      await first.close();
      await (await WalWriter.open(first.directory, { codec: textCodec })).close();
    });

    it('refuses while a child process holds it, and names the child', async () => {
      const folder = temporaryFolder();
      const child = await holder(folder, provider);
      const directory = await openWith(provider, folder);
      const error = await rejects(directory.lock('LOCK'), LockError);
      expect(error.pid).to.equal(child.pid);
      expect(error.message).to.include(os.hostname());
      child.goOn();
      expect(await child.line()).to.equal('released');
      await (await directory.lock('LOCK')).release();
      expect(await child.ended).to.equal(0);
    });

    it('names nobody once it was released: who loses the next race must not be told that it is still this one', async () => {
      const folder = temporaryFolder();
      const directory = await openWith(provider, folder);
      const lock = await directory.lock('LOCK');
      expect(fs.readFileSync(path.join(folder, 'LOCK'), 'utf8')).to.include(`${process.pid}`);
      await lock.release();
      expect(fs.readFileSync(path.join(folder, 'LOCK'), 'utf8')).to.equal('');
    });

    it('refuses a child process while this one holds it', async () => {
      const folder = temporaryFolder();
      const lock = await (await openWith(provider, folder)).lock('LOCK');
      const child = new Child('hold-lock', [folder, provider]);
      expect(await child.line())
        .to.match(/^CAIRN_LOCKED /)
        .and.to.include(`Process ${process.pid}`);
      expect(await child.ended).to.equal(0);
      await lock.release();
    });

    it('refuses while a worker thread holds it, and the other way round', async () => {
      const folder = temporaryFolder();
      const directory = await openWith(provider, folder);
      const worker = startThread('hold-lock', [folder, provider]);
      expect(await once(worker, 'message')).to.deep.equal(['held']);
      const error = await rejects(directory.lock('LOCK'), LockError);
      expect(error.pid).to.equal(process.pid);
      const released = once(worker, 'message');
      worker.postMessage('go on');
      expect(await released).to.deep.equal(['released']);
      const lock = await directory.lock('LOCK');
      const refused = startThread('hold-lock', [folder, provider]);
      expect(String(await once(refused, 'message'))).to.match(/^CAIRN_LOCKED /);
      await lock.release();
    });

    it('is free once its holder was killed', async () => {
      const folder = temporaryFolder();
      const child = await holder(folder, provider);
      const directory = await openWith(provider, folder);
      await rejects(directory.lock('LOCK'), LockError);
      child.process.kill('SIGKILL');
      expect(await child.ended).to.equal('SIGKILL');
      // Waits by itself, up to a second, where the system lags behind.
      await (await directory.lock('LOCK')).release();
    });

    it('stays with a holder that was stopped', async () => {
      const folder = temporaryFolder();
      const child = await holder(folder, provider);
      const directory = await openWith(provider, folder);
      child.process.kill('SIGSTOP');
      const error = await rejects(directory.lock('LOCK'), LockError);
      expect(error.pid).to.equal(child.pid);
      child.process.kill('SIGCONT');
      child.goOn();
      expect(await child.line()).to.equal('released');
      await (await directory.lock('LOCK')).release();
    });

    it('is not kept by children that its holder started', async () => {
      const folder = temporaryFolder();
      const directory = await openWith(provider, folder);
      const lock = await directory.lock('LOCK');
      const bystander = await holder(temporaryFolder(), provider);
      await lock.release();
      await (await directory.lock('LOCK')).release();
      bystander.goOn();
      await bystander.ended;
    });

    it('is not barred by a lock file that was left over, whatever it says', async () => {
      const living = { pid: process.pid, host: os.hostname() };
      const dead = { pid: spawnSync(process.execPath, ['--version']).pid, host: os.hostname() };
      const elsewhere = { pid: 1, host: 'another-host' };
      const contents = [
        '',
        '{',
        'null',
        '7',
        '\0\0\0\0',
        ...[living, dead, elsewhere].map((who) => JSON.stringify(who)),
      ];
      for (const left of contents) {
        const folder = temporaryFolder();
        fs.writeFileSync(path.join(folder, 'LOCK'), left);
        const directory = await openWith(provider, folder);
        const lock = await directory.lock('LOCK');
        const error = await rejects(directory.lock('LOCK'), LockError);
        expect(error.pid, left).to.equal(process.pid);
        await lock.release();
        expect(await directory.list('')).to.deep.equal(['LOCK']);
      }
    });

    // Under the first provider, which is the default, the race is the longer one.
    const children = provider === providersHere[0] ? 50 : 20;
    it(`is held by one of ${children} racing children at a time, half of which are killed while they have it`, async function () {
      this.timeout(60_000);
      const folder = temporaryFolder();
      let started = 0;
      let failures = 0;
      // So many at a time as still leave the machine some air.
      const lane = async (): Promise<void> => {
        while (started < children) {
          const end = started++ % 2 === 0 ? 'release' : 'kill';
          const child = new Child('race-for-lock', [folder, provider, end]);
          const expected = end === 'release' ? 0 : 'SIGKILL';
          if ((await child.ended) !== expected) failures++;
        }
      };
      await Promise.all(Array.from({ length: 8 }, lane));
      expect(failures).to.equal(0);
      expect(fs.readdirSync(folder)).to.deep.equal(['LOCK']);
    });
  });

describe('A lock', () => {
  it('that cannot be given up as it should says so by an error of the library', async () => {
    const failing = Object.assign(new Error('EIO: i/o error, close'), { code: 'EIO', syscall: 'close' });
    const folder = temporaryFolder();
    const lockProvider = { lock: async () => ({ release: () => Promise.reject(failing) }) };
    const lock = await (await FsDirectory.open(folder, { lockProvider })).lock('LOCK');
    const error = await rejects(lock.release(), StorageError);
    expect(error.errno).to.equal('EIO');
    expect(error.path).to.equal('LOCK');
  });
});

describe('A lock by flock', () => {
  afterEach(endChildren);

  it('is taken on a disk that has no room left to note who holds it', async function () {
    if (process.platform !== 'linux' || missing('prlimit')) {
      console.log('      skipped: no prlimit program to stand in for a full disk');
      return this.skip();
    }
    const folder = temporaryFolder();
    const child = new Child('hold-lock', [folder, 'flock'], ['prlimit', '--fsize=0']);
    expect(await child.line()).to.equal('held');
    const error = await rejects((await openWith('flock', folder)).lock('LOCK'), LockError);
    expect(error.pid).to.equal(undefined);
    expect(error.message).to.include('Another process');
    child.goOn();
    expect(await child.line()).to.equal('released');
  });

  it('looks again when the lock file was removed and made anew while it was taken', async function () {
    if (process.platform !== 'linux') {
      console.log('      skipped: flock is tried on Linux only');
      return this.skip();
    }
    const folder = temporaryFolder();
    // A flock program that takes the lock and, the first time, removes the file behind it before it says so.
    const programs = temporaryFolder();
    const real = spawnSync('sh', ['-c', 'command -v flock'], { encoding: 'utf8' }).stdout.trim();
    fs.writeFileSync(
      path.join(programs, 'flock'),
      `#!/bin/sh\n"${real}" "$@" || exit $?\nif [ ! -e "${programs}/done" ]; then : > "${programs}/done"; rm "${folder}/LOCK"; fi\n`,
      { mode: 0o755 },
    );
    const directory = await openWith('flock', folder);
    const searched = process.env['PATH'];
    process.env['PATH'] = `${programs}${path.delimiter}${searched}`;
    try {
      const lock = await directory.lock('LOCK');
      expect(fs.existsSync(path.join(programs, 'done'))).to.equal(true);
      await rejects(directory.lock('LOCK'), LockError);
      await lock.release();
    } finally {
      process.env['PATH'] = searched;
    }
  });
});

describe('A lock by the abstract socket', () => {
  afterEach(endChildren);

  /** What the socket provider leaves behind when its process is killed. */
  function leave(folder: string, more: { network?: string; boot?: string }): void {
    const holder = { pid: 4_194_305, host: os.hostname(), startTime: '1', ...more };
    fs.writeFileSync(path.join(folder, 'LOCK'), `${JSON.stringify(holder)}\n`);
  }

  before(function () {
    if (process.platform === 'linux') return;
    console.log('      skipped: only Linux has abstract sockets');
    this.skip();
  });

  const boot = (): string => fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const network = (): string => fs.readlinkSync('/proc/self/ns/net');

  it('is refused while a holder in another network namespace of this boot may be alive', async () => {
    const folder = temporaryFolder();
    leave(folder, { network: 'net:[1]', boot: boot() });
    const directory = await openWith('the abstract socket', folder);
    for (let attempt = 0; attempt < 2; attempt++) {
      const error = await rejects(directory.lock('LOCK'), LockError);
      expect(error.pid).to.equal(4_194_305);
      expect(error.message).to.include('another network namespace').and.to.include('remove the lock file');
    }
    // As the message says.
    fs.unlinkSync(path.join(folder, 'LOCK'));
    await (await directory.lock('LOCK')).release();
  });

  it('is not refused for a holder of this namespace or of an earlier boot: those are known to be gone', async () => {
    const earlier = { network: 'net:[1]', boot: '00000000-0000-0000-0000-000000000000' };
    for (const left of [{ network: network(), boot: boot() }, earlier]) {
      const folder = temporaryFolder();
      leave(folder, left);
      await (await (await openWith('the abstract socket', folder)).lock('LOCK')).release();
    }
  });

  it('is given up in the open, so that another namespace need not wonder', async () => {
    const folder = temporaryFolder();
    const file = path.join(folder, 'LOCK');
    const lock = await (await openWith('the abstract socket', folder)).lock('LOCK');
    expect(JSON.parse(fs.readFileSync(file, 'utf8'))).to.include({
      pid: process.pid,
      network: network(),
      boot: boot(),
    });
    await lock.release();
    expect(fs.readFileSync(file, 'utf8')).to.equal('');
  });

  it('is given up even if that cannot be written down any more', async function () {
    if (missing('prlimit')) {
      console.log('      skipped: no prlimit program to stand in for a full disk');
      return this.skip();
    }
    const folder = temporaryFolder();
    const child = await holder(folder, 'the abstract socket');
    spawnSync('prlimit', ['--fsize=0', '--pid', String(child.pid)]);
    child.goOn();
    expect(await child.line()).to.equal('released');
    expect(await child.ended).to.equal(0);
  });

  it('looks again when the lock file was removed and made anew while it was taken', async () => {
    const folder = temporaryFolder();
    const directory = await openWith('the abstract socket', folder);
    const { listen } = net.Server.prototype;
    let removed = false;
    net.Server.prototype.listen = function (this: net.Server, ...args: unknown[]): net.Server {
      if (!removed) fs.unlinkSync(path.join(folder, 'LOCK'));
      removed = true;
      return Reflect.apply(listen, this, args) as net.Server;
    };
    try {
      const lock = await directory.lock('LOCK');
      expect(removed).to.equal(true);
      await rejects(directory.lock('LOCK'), LockError);
      await lock.release();
    } finally {
      net.Server.prototype.listen = listen;
    }
  });

  it('is what the default falls back to where there is no flock program', async () => {
    const folder = temporaryFolder();
    const directory = await openWith('the default', folder);
    const searched = process.env['PATH'];
    process.env['PATH'] = temporaryFolder();
    try {
      const lock = await directory.lock('LOCK');
      expect(JSON.parse(fs.readFileSync(path.join(folder, 'LOCK'), 'utf8'))).to.include({ network: network() });
      await rejects(directory.lock('LOCK'), LockError);
      await lock.release();
      // And flock alone says what is missing.
      const error = await rejects((await openWith('flock', folder)).lock('LOCK'), LockError);
      expect(error.message).to.include('util-linux').and.to.include('lockProvider');
    } finally {
      process.env['PATH'] = searched;
    }
  });
});
