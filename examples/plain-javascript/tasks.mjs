// Plain JavaScript: no decorators, no build step. `node examples/plain-javascript/tasks.mjs`
// The types in the comments are for editors and `checkJs`; the program runs without them.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineAggregate, openStore } from 'cairnlog';

/** @typedef {{ title: string, isDone: boolean }} Task */

const List = defineAggregate('list', {
  initial: { tasks: /** @type {Task[]} */ ([]) },
  // One reducer for each event: it changes a draft of the state, and has no other effect.
  reduce: {
    TaskAdded(state, /** @type {import('cairnlog').Event<'TaskAdded', { title: string }>} */ { data }) {
      state.tasks.push({ title: data.title, isDone: false });
    },
    TaskDone(state, /** @type {import('cairnlog').Event<'TaskDone', { index: number }>} */ { data }) {
      const task = state.tasks[data.index];
      if (task !== undefined) task.isDone = true;
    },
  },
  // Commands look at the state and decide on events; or they throw, and nothing has happened.
  commands: (list) => ({
    add(/** @type {string} */ title) {
      list.emit('TaskAdded', { title });
      return list.state.tasks.length;
    },
    finish(/** @type {string} */ title) {
      const index = list.state.tasks.findIndex((task) => task.title === title && !task.isDone);
      if (index < 0) throw new Error(`There is no task '${title}' left to do`);
      list.emit('TaskDone', { index });
    },
  }),
});

const dir = await mkdtemp(join(tmpdir(), 'tasks-'));
try {
  const store = await openStore({ dir, aggregates: [List] });
  store.records$.subscribe(({ position, type }) => console.log(`  ${position} ${type}`));

  const { result } = await store.execute(List, 'home', (list) => list.add('water the plants'));
  assert.equal(result, 1);
  await store.execute(List, 'home', (list) => list.add('feed the cat'));
  await store.execute(List, 'home', (list) => list.finish('feed the cat'));
  await assert.rejects(
    store.execute(List, 'home', (list) => list.finish('feed the cat')),
    /no task 'feed the cat' left/,
  );
  await store.close();

  const again = await openStore({ dir, aggregates: [List] });
  const { state, version } = await again.load(List, 'home');
  assert.deepEqual(state.tasks, [
    { title: 'water the plants', isDone: false },
    { title: 'feed the cat', isDone: true },
  ]);
  const past = await again.load(List, 'home', { version: 2 });
  assert.equal(past.state.tasks[1]?.isDone, false);
  for (const { title, isDone } of state.tasks) console.log(`[${isDone ? 'x' : ' '}] ${title}`);
  console.log(`recovered at version ${version}; at version 2 the cat was not fed yet`);
  await again.close();
} finally {
  await rm(dir, { recursive: true });
}
