// What openStore says about aggregates that cannot be used: before anything is touched, and what to do about it.

import { expect } from 'chai';
import {
  Aggregate,
  AggregateRoot,
  Command,
  defineAggregate,
  InvalidArgumentError,
  MemoryDirectory,
  MigratesState,
  openStore,
  Reduces,
  Upcasts,
  type Event,
  type OpenStoreOptions,
} from 'cairnlog';
import { rejects, throws } from '../support/rejects.js';

interface State {
  count: number;
}
type Counted = Event<'Counted', { by: number }>;
type Events = Counted | Event<'Reset', null>;

/** The message that opening a store with these ends in; its directory must not be touched. */
async function refusal(...aggregates: unknown[]): Promise<string> {
  const dir = new MemoryDirectory();
  const options = { dir, aggregates } as OpenStoreOptions;
  const { message } = await rejects(openStore(options), InvalidArgumentError);
  expect(await dir.list('')).to.deep.equal([]);
  return message;
}

abstract class Counting extends AggregateRoot<State, Events> {
  static readonly initial: State = { count: 0 };
}

describe('Defining aggregates', () => {
  it('refuses a declared event without a reducer, and says which', async () => {
    @Aggregate({ name: 'counter', events: ['Counted', 'Reset'] })
    class Counter extends Counting {
      @Reduces('Counted')
      static counted(): void {}
    }
    expect(await refusal(Counter)).to.equal(
      "class Counter: the event 'Reset' is declared but has no reducer; add @Reduces('Reset')",
    );
  });

  it('refuses a reducer for an event that is not among the declared ones', async () => {
    @Aggregate({ name: 'counter', events: ['Counted'] })
    class Counter extends Counting {
      @Reduces('Counted')
      static counted(): void {}
      @Reduces('Resett')
      static reset(): void {}
    }
    expect(await refusal(Counter)).to.include("a reducer for 'Resett', which is not among the declared events");
  });

  it('refuses two reducers of one event, and names both', async () => {
    @Aggregate({ name: 'counter' })
    class Counter extends Counting {
      @Reduces('Counted')
      static one(): void {}
      @Reduces('Counted')
      static two(): void {}
    }
    expect(await refusal(Counter)).to.include("'Counted' has two reducers, 'one' and 'two'");
  });

  it('refuses two aggregates of one name, and takes the same one twice', async () => {
    const reduce = { Counted: (state: State) => void state.count++ };
    const one = defineAggregate('counter', { initial: { count: 0 }, reduce });
    const other = defineAggregate('counter', { initial: { count: 0 }, reduce });
    expect(await refusal(one, other)).to.include("Two aggregates are named 'counter'");
    await (await openStore({ dir: new MemoryDirectory(), aggregates: [one, one] })).close();
  });

  it('refuses commands that come as an object, when they are defined and not when one is executed', () => {
    const reduce = { Counted: (state: State) => void state.count++ };
    const options = { initial: { count: 0 }, reduce, commands: { count: () => undefined } as never };
    const error = throws(() => defineAggregate('counter', options), InvalidArgumentError);
    expect(error.message).to.include("aggregate 'counter': commands must be a function");
  });

  it("refuses a subclass that goes by its parent's name beside it", async () => {
    @Aggregate({ name: 'counter' })
    class Counter extends Counting {
      @Reduces('Counted')
      static counted(): void {}
    }
    class Nameless extends Counter {}
    expect(await refusal(Counter, Nameless)).to.include("Two aggregates are named 'counter'");
  });

  it('refuses async reducers, by what the compiler noted and by what they are', async () => {
    @Aggregate({ name: 'noted' })
    class Noted extends Counting {
      // Not an async function: only its declared type says so.
      @Reduces('Counted')
      static counted(): Promise<void> {
        return Promise.resolve();
      }
    }
    expect(await refusal(Noted)).to.include("class Noted: @Reduces('Counted') on 'counted': it is async");
    const reduce = { Counted: async (state: State) => void state.count++ };
    const error = throws(() => defineAggregate('plain', { initial: { count: 0 }, reduce }), InvalidArgumentError);
    expect(error.message).to.include("aggregate 'plain': the reducer of 'Counted' is async");
  });

  it('refuses async upcasters and migrations', async () => {
    @Aggregate({ name: 'upcast', version: 2 })
    class Upcast extends Counting {
      @Reduces('Counted')
      static counted(): void {}
      @Upcasts('Counted', 1)
      static async older(data: unknown): Promise<unknown> {
        return data;
      }
    }
    expect(await refusal(Upcast)).to.include("@Upcasts('Counted', 1) on 'older': it is async");
    const parts = { version: 2, initial: { count: 0 }, reduce: { Counted: (state: State) => void state.count++ } };
    throws(() => defineAggregate('a', { ...parts, upcast: { Counted: [async () => 1] } }), InvalidArgumentError);
    throws(() => defineAggregate('a', { ...parts, migrate: { 1: async () => ({}) } }), InvalidArgumentError);
  });

  for (const name of ['a-b', '-', '', 'a b', 'ä', 'a/b', 'a\0b', 7, undefined])
    it(`refuses ${JSON.stringify(name)} as a name`, async () => {
      @Aggregate({ name: name as string })
      class Named extends Counting {
        @Reduces('Counted')
        static counted(): void {}
      }
      expect(await refusal(Named)).to.match(/class Named(:| is not an aggregate)/);
    });

  for (const version of [0, -1, 1.5, NaN, '2', 2 ** 53])
    it(`refuses ${String(version)} as a version`, async () => {
      @Aggregate({ name: 'counter', version: version as number })
      class Versioned extends Counting {
        @Reduces('Counted')
        static counted(): void {}
      }
      expect(await refusal(Versioned)).to.include('version must be a whole number from 1');
    });

  it('refuses decorators where they do not belong', async () => {
    const anywhere = (decorator: unknown): MethodDecorator => decorator as MethodDecorator;
    @Aggregate({ name: 'instance' })
    class Instance extends Counting {
      @anywhere(Reduces('Counted'))
      counted(): void {}
    }
    @Aggregate({ name: 'static' })
    class Static extends Counting {
      @Reduces('Counted')
      static counted(): void {}
      @anywhere(Command())
      static count(): void {}
    }
    @Aggregate({ name: 'accessor' })
    class Accessor extends Counting {
      @Reduces('Counted')
      static counted(): void {}
      @anywhere(Command())
      get next(): number {
        return 1;
      }
    }
    expect(await refusal(Instance)).to.include("@Reduces('Counted') on 'counted': make it a static method");
    expect(await refusal(Static)).to.include("@Command() on 'count': make it a public method that is not static");
    expect(await refusal(Accessor)).to.include("@Command() on 'next': make it a public method that is not static");
  });

  it('refuses what is no aggregate', async () => {
    class Undecorated extends Counting {}
    @Aggregate({ name: 'rootless' })
    class Rootless {
      static readonly initial: State = { count: 0 };
      @Reduces('Counted')
      static counted(): void {}
    }
    @Aggregate({ name: 'stateless' })
    class Stateless extends AggregateRoot<State, Events> {
      @Reduces('Counted')
      static counted(): void {}
    }
    @Aggregate({ name: 'idle' })
    class Idle extends Counting {}
    expect(await refusal(Undecorated)).to.include('class Undecorated is not an aggregate: decorate it with @Aggregate');
    expect(await refusal(Rootless)).to.include('class Rootless must extend AggregateRoot');
    expect(await refusal(Stateless)).to.include(
      "class Stateless: the initial state must be an object: 'static readonly",
    );
    expect(await refusal(Idle)).to.include('class Idle: there is no reducer; add at least one');
    for (const thing of [null, undefined, {}, 'account', () => 1, 7])
      expect((await refusal(thing)).length).to.be.greaterThan(10);
  });

  const states: [string, unknown, string][] = [
    ['a Map', { tags: new Map() }, 'initial.tags'],
    ['a Set', { list: [new Set()] }, 'initial.list[0]'],
    ['an instance of a class', { at: { url: new URL('http://a') } }, 'initial.at.url'],
    ['undefined', { owner: undefined }, 'initial.owner'],
    ['a bigint', { count: 1n }, 'initial.count'],
    ['-0', { count: -0 }, 'initial.count'],
  ];
  for (const [what, initial, field] of states)
    it(`refuses ${what} in the initial state, with its path`, () => {
      const define = (): unknown =>
        defineAggregate('a', { initial: initial as object, reduce: { Counted: () => undefined } });
      expect(throws(define, InvalidArgumentError).message).to.include(`Field '${field}'`);
    });

  it('refuses gaps in upcasters, upcasters of nothing, and migrations from the present', async () => {
    @Aggregate({ name: 'gap' })
    class Gap extends Counting {
      @Reduces('Counted')
      static counted(): void {}
      @Upcasts('Counted', 2)
      static second(data: unknown): unknown {
        return data;
      }
    }
    @Aggregate({ name: 'nothing' })
    class Nothing extends Counting {
      @Reduces('Counted')
      static counted(): void {}
      @Upcasts('Reset', 1)
      static first(data: unknown): unknown {
        return data;
      }
    }
    @Aggregate({ name: 'present', version: 2 })
    class Present extends Counting {
      @Reduces('Counted')
      static counted(): void {}
      @MigratesState(2)
      static second(state: State): State {
        return state;
      }
    }
    expect(await refusal(Gap)).to.include("'Counted' must start from 1, 2, 3, ...; 1 is missing");
    expect(await refusal(Nothing)).to.include("an upcaster of 'Reset', but no reducer");
    expect(await refusal(Present)).to.include('a migration starts from version 2, but the aggregate is version 2');
  });

  it('keeps none of the objects it was given', async () => {
    const initial = { list: [1] };
    const counter = defineAggregate('counter', {
      initial,
      reduce: { Counted: (state, event: Counted) => void state.list.push(event.data.by) },
    });
    initial.list.push(2);
    const store = await openStore({ dir: new MemoryDirectory(), aggregates: [counter] });
    expect((await store.load(counter, 'c')).state).to.deep.equal({ list: [1] });
    initial.list.push(3);
    await store.execute(counter, 'c', (c) => c.emit('Counted', { by: 9 }));
    expect((await store.load(counter, 'c')).state).to.deep.equal({ list: [1, 9] });
    expect(initial).to.deep.equal({ list: [1, 2, 3] });
    expect(Object.isFrozen(initial)).to.equal(false);
    await store.close();
  });

  it('takes the version and name that a class says itself, not those of its parent', async () => {
    @Aggregate({ name: 'parent', version: 3 })
    class Parent extends Counting {
      @Reduces('Counted')
      static counted(state: State): void {
        state.count++;
      }
      @Command()
      count(): void {
        this.emit('Counted', { by: 1 });
      }
      @MigratesState(2)
      static second(state: State): State {
        return state;
      }
    }
    @Aggregate({ name: 'child', version: 4 })
    class Child extends Parent {
      @Reduces('Counted')
      static twice(state: State): void {
        state.count += 2;
      }
    }
    const store = await openStore({ dir: new MemoryDirectory(), aggregates: [Parent, Child] });
    await store.execute(Parent, 'a', (a) => a.count());
    await store.execute(Child, 'a', (a) => a.count());
    expect((await store.load(Parent, 'a')).state.count).to.equal(1);
    expect((await store.load(Child, 'a')).state.count).to.equal(2);
    await store.close();
  });
});
