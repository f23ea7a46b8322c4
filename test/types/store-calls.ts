// What must not compile where a store is used, and what must without annotations.

import {
  defineAggregate,
  NO_STREAM,
  type EventStore,
  type Event,
  type Executed,
  type Reducers,
  type StateOf,
} from 'cairnlog';
import { Account, type AccountEvent } from '../store/bank.js';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_is: Same<A, B>): void => undefined;

export async function executing(store: EventStore): Promise<void> {
  const executed = await store.execute(Account, 'a', (account) => account.withdraw(1));
  same<typeof executed, Executed<number>>(true);
  same<typeof executed.result, string>(false);
  const nothing = await store.execute(Account, 'a', (account) => account.open('Ada'));
  same<typeof nothing.result, void>(true);
  // More than one command in a decision.
  const both = await store.execute(Account, 'a', (account) => {
    account.deposit(1);
    return { balance: account.withdraw(1) };
  });
  same<typeof both.result, { balance: number }>(true);

  // @ts-expect-error a command gets what it declares
  await store.execute(Account, 'a', (account) => account.withdraw('1'));
  // @ts-expect-error there is no such command
  await store.execute(Account, 'a', (account) => account.steal());
  // @ts-expect-error a command decides at once
  await store.execute(Account, 'a', async (account) => account.withdraw(1));
  // @ts-expect-error a command decides at once
  await store.execute(Account, 'a', (account) => Promise.resolve(account.withdraw(1)));
  // @ts-expect-error the function is missing
  await store.execute(Account, 'a');
  // @ts-expect-error the id is a text
  await store.execute(Account, 1, (account) => account.withdraw(1));
  // @ts-expect-error emit is for commands
  await store.execute(Account, 'a', (account) => account.emit('MoneyDeposited', { amount: 1 }));
  // @ts-expect-error the state is not for writing
  await store.execute(Account, 'a', (account) => void (account.state.balance = 1));
  // @ts-expect-error not an aggregate
  await store.execute(Date, 'a', () => 1);
  await store.execute(Account, 'a', (account) => account.deposit(1), { expectedVersion: NO_STREAM });
  // @ts-expect-error not a version
  await store.execute(Account, 'a', (account) => account.deposit(1), { expectedVersion: 'latest' });
  // @ts-expect-error not a level of durability
  await store.execute(Account, 'a', (account) => account.deposit(1), { durability: 'disk' });
  // @ts-expect-error a misspelled option
  await store.execute(Account, 'a', (account) => account.deposit(1), { expectVersion: 1 });
}

export async function reading(store: EventStore): Promise<void> {
  const { state } = await store.load(Account, 'a');
  same<typeof state.balance, number>(true);
  same<StateOf<typeof Account>['owner'], string | null>(true);
  // @ts-expect-error what is loaded is not for writing
  state.balance = 1;
  const past = (await store.at(1)).load(Account, 'a').state;
  // @ts-expect-error nor is the past
  past.owner = 'Bob';
  for await (const record of store.readStream<AccountEvent>('account-a')) {
    // @ts-expect-error which event it is has to be asked first
    console.log(record.data.owner);
    if (record.type === 'AccountOpened') console.log(record.data.owner.length);
  }
  for await (const record of store.readAll({ aggregates: [Account], limit: 1 })) {
    same<typeof record.data, unknown>(true);
    // @ts-expect-error without a type parameter nothing is known of the data
    console.log(record.data.owner);
  }
  // @ts-expect-error only aggregates
  store.readAll({ aggregates: ['account'] });
}

export async function appending(store: EventStore): Promise<void> {
  const events: AccountEvent[] = [{ type: 'MoneyDeposited', data: { amount: 1 } }];
  const { versions, lastPosition } = await store.append([{ stream: 'account-a', events }]);
  same<typeof versions, ReadonlyMap<string, number>>(true);
  same<typeof lastPosition, number>(true);
  // @ts-expect-error events have a type and data
  await store.append([{ stream: 'account-a', events: [{ kind: 'MoneyDeposited' }] }]);
  // @ts-expect-error a list of streams
  await store.append({ stream: 'account-a', events });
  // @ts-expect-error a check says what it expects
  await store.append([{ stream: 'account-a', events }], { checks: [{ stream: 'account-b' }] });
}

// Nothing but the events is annotated.
const Counter = defineAggregate('counter', {
  initial: { count: 0, names: [] as string[] },
  reduce: {
    Counted: (state, event: Event<'Counted', { by: number }>) => {
      same<typeof state.count, number>(true);
      state.count += event.data.by;
      // @ts-expect-error the event has no such field
      state.count += event.data.times;
      // @ts-expect-error the state has no such field
      state.total = 1;
    },
    Named: (state, event: Event<'Named', { name: string }>) => state.names.push(event.data.name),
    Reset: (state) => void (state.count = 0),
  },
  commands: (counter) => ({
    count(by: number) {
      counter.emit('Counted', { by });
      // @ts-expect-error of another type
      counter.emit('Counted', { by: '1' });
      // @ts-expect-error an unknown event
      counter.emit('Lost', { by });
      // @ts-expect-error the state is not for writing
      counter.state.count = 1;
      // @ts-expect-error nor are its lists
      counter.state.names.push('a');
      return counter.state.count;
    },
    name: (name: string) => counter.emit('Named', { name }),
  }),
});

export async function defined(store: EventStore): Promise<void> {
  const { result } = await store.execute(Counter, 'c', (counter) => counter.count(1));
  same<typeof result, number>(true);
  const { state } = await store.load(Counter, 'c');
  same<typeof state.count, number>(true);
  same<typeof state.names, readonly string[]>(true);
  // @ts-expect-error a command gets what it declares
  await store.execute(Counter, 'c', (counter) => counter.count('1'));
  // @ts-expect-error a command decides at once
  await store.execute(Counter, 'c', async (counter) => counter.count(1));
  // A defined aggregate emits without commands, too.
  await store.execute(Counter, 'c', (counter) => counter.emit('Counted', { by: 1 }));
  // @ts-expect-error with the data that the event has
  await store.execute(Counter, 'c', (counter) => counter.emit('Counted', {}));
}

// Events first, and a reducer for every one of them.
interface Balance {
  owner: string | null;
  balance: number;
}
export const complete: Reducers<Balance, AccountEvent> = {
  AccountOpened: (state, event) => void (state.owner = event.data.owner),
  MoneyDeposited: (state, event) => void (state.balance += event.data.amount),
  MoneyWithdrawn: (state, event) => void (state.balance -= event.data.amount),
};
// @ts-expect-error the reducer of an event is missing
export const incomplete: Reducers<Balance, AccountEvent> = {
  AccountOpened: (state, event) => void (state.owner = event.data.owner),
  MoneyDeposited: (state, event) => void (state.balance += event.data.amount),
};
export const tooMany: Reducers<Balance, AccountEvent> = {
  ...complete,
  // @ts-expect-error that is not an event of the union
  MoneyStolen: () => undefined,
};
export const FromEvents = defineAggregate('balance', {
  initial: { owner: null, balance: 0 } as Balance,
  reduce: complete,
  commands: (account) => ({
    open: (owner: string) => account.emit('AccountOpened', { owner }),
    // @ts-expect-error data of another event
    deposit: (amount: number) => account.emit('AccountOpened', { amount }),
  }),
});

export const Upcasting = defineAggregate('upcasting', {
  initial: { total: 0 },
  reduce: { Paid: (state, event: Event<'Paid', { cents: number }>) => void (state.total += event.data.cents) },
  // Says nothing about what the event is now.
  upcast: { Paid: [(data: { euros: number }) => ({ cents: data.euros * 100 })] },
  commands: (bill) => ({
    pay: (cents: number) => bill.emit('Paid', { cents }),
    // @ts-expect-error of an older version
    payEuros: (euros: number) => bill.emit('Paid', { euros }),
  }),
});
defineAggregate('upcasting', {
  initial: { total: 0 },
  reduce: { Paid: (state: { total: number }) => void state.total++ },
  // @ts-expect-error an unknown event
  upcast: { Lost: [] },
});

export const mistaken = defineAggregate('mistaken', {
  initial: { count: 0 },
  // @ts-expect-error a reducer whose event is not that of its name
  reduce: { Counted: (state, event: Event<'Named', { by: number }>) => void (state.count += event.data.by) },
});
// @ts-expect-error a state is needed
defineAggregate('stateless', { reduce: { Counted: () => undefined } });
// @ts-expect-error reducers are needed
defineAggregate('reducerless', { initial: {} });
defineAggregate('shadowing', {
  initial: { count: 0 },
  reduce: { Counted: (state: { count: number }) => void state.count++ },
  // @ts-expect-error every aggregate has a state already
  commands: () => ({ state: () => 1 }),
});
