import { AssertionError } from 'node:assert';
import { expect } from 'chai';
import { defineAggregate, EncodeError, InvalidArgumentError, ReducerError, type Event } from 'cairnlog';
import { given } from 'cairnlog/testing';
import { Account, InsufficientFunds } from '../store/bank.js';

const opened = { type: 'AccountOpened', data: { owner: 'Ada' } } as const;
const deposited = (amount: number) => ({ type: 'MoneyDeposited', data: { amount } }) as const;
const withdrawn = (amount: number) => ({ type: 'MoneyWithdrawn', data: { amount } }) as const;

interface Line {
  item: string;
  cents: number;
}

/** Prices were in euros in version 1, and in cents without a currency in version 2. */
const Cart = defineAggregate('cart', {
  initial: { lines: [] as Line[], closedAt: null as string | null },
  reduce: {
    Added: (state, { data }: Event<'Added', { item: string; cents: number; currency: string }>) => {
      state.lines.push({ item: data.item, cents: data.cents });
    },
    Closed: (state, { data }: Event<'Closed', { at: string }>) => {
      state.closedAt = data.at;
    },
  },
  upcast: {
    Added: [
      (data: { item: string; euros: number }) => ({ item: data.item, cents: data.euros * 100 }),
      (data: { item: string; cents: number }) => ({ ...data, currency: 'EUR' }),
    ],
  },
  commands: (cart) => ({
    add: (item: string, cents: number) => cart.emit('Added', { item, cents, currency: 'EUR' }),
    close(at: string): number {
      if (cart.state.lines.length === 0) throw new RangeError('The cart is empty');
      cart.emit('Closed', { at });
      return cart.state.lines.reduce((sum, { cents }) => sum + cents, 0);
    },
  }),
});

/** The message of the check that fails. */
async function message(check: () => unknown): Promise<string> {
  try {
    await check();
  } catch (error) {
    expect(error).to.be.instanceOf(AssertionError);
    return (error as Error).message;
  }
  return expect.fail('nothing failed');
}

describe('given, when, then', () => {
  it('says what a command of a class decides, returns and leads to', async () => {
    await given(Account, [opened, deposited(100)])
      .when((account) => account.withdraw(30))
      .thenEvents([withdrawn(30)])
      .thenReturns(70)
      .thenState({ owner: 'Ada', balance: 70 })
      .thenRecovers();
  });

  it('says what a command of a defined aggregate decides, through upcasters of old events', async () => {
    await given(Cart, [
      { type: 'Added', data: { item: 'pen', euros: 3 }, eventVersion: 1 },
      { type: 'Added', data: { item: 'ink', cents: 550 }, eventVersion: 2 },
      { type: 'Added', data: { item: 'pad', cents: 1, currency: 'EUR' } },
    ])
      .when((cart) => cart.close('today'))
      .thenReturns(851)
      .thenEvents([{ type: 'Closed', data: { at: 'today' } }])
      .thenState({
        lines: [
          { item: 'pen', cents: 300 },
          { item: 'ink', cents: 550 },
          { item: 'pad', cents: 1 },
        ],
        closedAt: 'today',
      })
      .thenRecovers();
  });

  it('begins with nothing, gives the id, and takes several commands at once', async () => {
    await given(Account, [], { id: 'a-7' })
      .when((account) => {
        account.open(account.id);
        account.deposit(1);
        return account.version;
      })
      .thenEvents([{ type: 'AccountOpened', data: { owner: 'a-7' } }, deposited(1)])
      .thenReturns(2)
      .thenRecovers();
  });

  it('needs no command', async () => {
    await given(Account, [opened, deposited(5)])
      .thenState({ owner: 'Ada', balance: 5 })
      .thenRecovers();
    await given(Account, []).thenRecovers();
  });

  it('says what a command throws, and that it leaves everything as it was', async () => {
    await given(Account, [deposited(10)])
      .when((account) => {
        account.deposit(1);
        return account.withdraw(30);
      })
      .thenThrows(InsufficientFunds)
      .thenEvents([])
      .thenState({ owner: null, balance: 10 })
      .thenRecovers();
    const closed = given(Cart).when((cart) => cart.close('today'));
    await closed.thenThrows();
    await closed.thenThrows('empty').thenThrows(/^The cart/);
    await closed.thenThrows({ name: 'RangeError', message: 'The cart is empty' });
    await closed.thenThrows(RangeError).thenRecovers();
  });

  it('rejects with what the command threw, unless that was expected', async () => {
    const outcome = given(Account).when((account) => account.withdraw(30));
    expect(await Promise.resolve(outcome).catch((error: unknown) => error)).to.be.instanceOf(InsufficientFunds);
    await outcome.thenThrows();
  });

  it('throws at once what the given events themselves lead to', () => {
    expect(() => given(Account, [{ type: 'Unheard', data: {}, eventVersion: 1 }])).to.throw(ReducerError, /no reducer/);
    expect(() => given(Account, [deposited(undefined as never)])).to.throw(EncodeError, /amount/);
    expect(() => given(Cart, [{ type: 'Added', data: {}, eventVersion: 4 }])).to.throw(ReducerError, /version 4/);
    expect(() => given(Cart, [{ type: 'Added', data: {}, eventVersion: 0 }])).to.throw(InvalidArgumentError);
    expect(() => given(class {} as never)).to.throw(InvalidArgumentError);
  });

  it('has types: wrong events, states, results and commands do not compile', () => {
    void (() => {
      // @ts-expect-error no such event
      given(Account, [{ type: 'MoneyLost', data: { amount: 1 } }]);
      // @ts-expect-error wrong data
      given(Account, [{ type: 'MoneyDeposited', data: { amount: '1' } }]);
      const outcome = given(Account).when((account) => account.deposit(1));
      // @ts-expect-error no such command
      given(Account).when((account) => account.steal(1));
      // @ts-expect-error no such event
      outcome.thenEvents([{ type: 'MoneyLost', data: { amount: 1 } }]);
      // @ts-expect-error a field is missing
      outcome.thenState({ balance: 1 });
      // @ts-expect-error it returns a number
      outcome.thenReturns('1');
      const added = given(Cart).when((cart) => cart.add('pen', 1));
      // @ts-expect-error no such event
      added.thenEvents([{ type: 'Removed', data: { item: 'pen' } }]);
      // @ts-expect-error wrong data
      added.thenEvents([{ type: 'Added', data: { item: 'pen' } }]);
    });
  });
});

describe('a check that fails says', () => {
  const withdrawal = () => given(Account, [opened, deposited(100)]).when((account) => account.withdraw(30));

  it('which events differ', async () => {
    expect(await message(() => withdrawal().thenEvents([withdrawn(20)]))).to.equal(
      [
        "account 'test' decided on other events than expected",
        '- expected   + actual',
        '',
        '  [',
        '    {',
        '      data: {',
        '-       amount: 20',
        '+       amount: 30',
        '      },',
        "      type: 'MoneyWithdrawn'",
        '    }',
        '  ...',
        '',
      ].join('\n'),
    );
    expect(await message(() => withdrawal().thenEvents([]))).to.include('+   {\n+     data: {\n+       amount: 30');
    expect(await message(() => withdrawal().thenEvents([deposited(30)]))).to.match(
      /-\s+type: 'MoneyDeposited'\n\+\s+type: 'MoneyWithdrawn'/,
    );
    expect(await message(() => withdrawal().thenEvents([withdrawn(30), withdrawn(30)]))).to.match(/^-\s+\{$/m);
  });

  it('where the state differs', async () => {
    expect(await message(() => withdrawal().thenState({ owner: 'Bob', balance: 70 }))).to.equal(
      [
        "The state of account 'test' is another one than expected",
        '- expected   + actual',
        '',
        '  {',
        '    balance: 70,',
        "-   owner: 'Bob'",
        "+   owner: 'Ada'",
        '  }',
        '',
      ].join('\n'),
    );
  });

  it('what it returned', async () => {
    expect(await message(() => withdrawal().thenReturns(1))).to.match(/returned something else[^]*- 1\n\+ 70\n/);
  });

  it('that it did not throw, or threw something else', async () => {
    expect(await message(() => withdrawal().thenThrows(InsufficientFunds))).to.equal(
      "The command of account 'test' was expected to throw InsufficientFunds, but it returned and decided on MoneyWithdrawn",
    );
    const overdraft = given(Account).when((account) => account.withdraw(30));
    expect(await message(() => overdraft.thenThrows(RangeError))).to.equal(
      "The command of account 'test' was expected to throw RangeError, but it threw InsufficientFunds: ",
    );
    expect(await message(() => overdraft.thenThrows('too little'))).to.include(
      "'too little' in its message, but it threw",
    );
    expect(await message(() => overdraft.thenThrows(/little/))).to.include('matches /little/, but it threw');
    expect(await message(() => overdraft.thenThrows({ code: 7 }))).to.include('code: undefined instead of 7');
  });

  it('what was thrown instead of what was checked', async () => {
    const overdraft = given(Account).when((account) => account.withdraw(30));
    for (const check of [
      () => overdraft.thenEvents([]),
      () => overdraft.thenState({ owner: null, balance: 0 }),
      () => overdraft.thenReturns(0),
      () => overdraft.thenRecovers(),
    ])
      expect(await message(check)).to.match(/threw InsufficientFunds: . If it should, put thenThrows\(\) before then/);
  });

  it('that a command is async', async () => {
    const outcome = given(Account).when(async (account) => account.deposit(1));
    await outcome.thenThrows('decides at once').thenEvents([]);
  });
});

describe('thenRecovers fails, and says why', () => {
  type Noted = Event<'Noted', { text: string }>;
  const noting = (reduce: (state: { notes: unknown[] }, event: Noted) => void) =>
    defineAggregate('notes', {
      initial: { notes: [] as unknown[] },
      reduce: { Noted: reduce },
      commands: (notes) => ({ note: (text: string) => notes.emit('Noted', { text }) }),
    });
  const failing = (Notes: ReturnType<typeof noting>) =>
    message(() =>
      given(Notes, [{ type: 'Noted', data: { text: 'first' } }])
        .when((notes) => notes.note('second'))
        .thenRecovers(),
    );

  const unrepeatable: Record<string, (event: Noted) => unknown> = {
    'the time': () => Date.now(),
    'a date': () => new Date().toISOString(),
    'a random number': () => Math.random(),
    'the flip of a coin': () => Math.random() < 0.5,
    'the text of a date': () => Date(),
  };
  for (const [what, note] of Object.entries(unrepeatable))
    it(`a reducer puts ${what} into the state`, async () => {
      const Notes = noting((state, event) => void state.notes.push(event.data.text === 'second' ? note(event) : 1));
      expect(await failing(Notes)).to.match(
        /^'notes' does not recover: the reducer of 'Noted' \(event 2\) makes another state of the same state and event when it runs again\. [^]*\n- at first {3}\+ when run again\n[^]*\n- [^]*\n\+ /,
      );
    });

  it('a reducer counts outside of the state', async () => {
    let count = 0;
    expect(await failing(noting((state) => void state.notes.push(++count)))).to.include(
      "the reducer of 'Noted' (event 1)",
    );
  });

  it('a reducer remembers what it has seen', async () => {
    const seen = new Set<string>();
    const Notes = noting((state, { data }) => {
      if (!seen.has(data.text)) state.notes.push(data.text);
      seen.add(data.text);
    });
    // The same each time from now on, but not what it was at first.
    const text = await failing(Notes);
    expect(text).to.match(
      /^'notes' is another one when it is recovered by replay of all its events\n- was {3}\+ recovered/,
    );
    expect(text)
      .to.match(/^-\s+'first',$/m)
      .and.match(/^-\s+'second'$/m);
  });

  it('an upcaster gives something else than before', async () => {
    let calls = 0;
    const Notes = defineAggregate('notes', {
      initial: { notes: [] as number[] },
      reduce: {
        Noted: (state, event: Event<'Noted', { call: number }>) => void state.notes.push(event.data.call),
      },
      upcast: { Noted: [() => ({ call: calls++ })] },
    });
    const text = await message(() => given(Notes, [{ type: 'Noted', data: {}, eventVersion: 1 }]).thenRecovers());
    expect(text).to.include("the reducer of 'Noted' (event 1)");
  });

  it('something fails in any of the recoveries', async () => {
    const failAfter = (most: number): Promise<string> => {
      let calls = 0;
      const upcast = (): number => {
        if (++calls > most) throw new Error('no more');
        return 1;
      };
      const Notes = defineAggregate('notes', {
        initial: { notes: [] as number[] },
        reduce: { Noted: (state, event: Event<'Noted', number>) => void state.notes.push(event.data) },
        upcast: { Noted: [upcast] },
        commands: (notes) => ({ note: (value: number) => notes.emit('Noted', value) }),
      });
      return message(() =>
        given(Notes, [{ type: 'Noted', data: null, eventVersion: 1 }])
          .when((notes) => notes.note(2))
          .thenRecovers(),
      );
    };
    const ways = new Set<string>();
    for (let most = 4; ways.size < 4 && most < 60; most++) {
      const [, way] = /^'notes' does not recover (.*?): .*no more/.exec(await failAfter(most)) ?? [];
      ways.add(way!.replace(/\d+/g, 'N'));
    }
    expect([...ways]).to.deep.equal([
      'by replay of all its events',
      'by a checkpoint after event N and replay of the rest',
      'after a power cut behind the append',
      'after a crash N of N bytes into the append',
    ]);
  });

  it('only when it is awaited, but the failure of a later check comes first', async () => {
    let count = 0;
    const Notes = noting((state) => void state.notes.push(++count));
    const outcome = given(Notes).when((notes) => notes.note('x'));
    expect(await message(() => outcome.thenRecovers().thenEvents([]))).to.include('decided on other events');
  });
});
