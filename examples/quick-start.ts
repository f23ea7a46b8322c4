// An account that survives everything: every run finds what the last one left in ./data, and goes on from there.

import { Aggregate, AggregateRoot, Command, openStore, Reduces, type Event, type Of } from 'cairnlog';

type State = { balance: number };
type AccountEvent = Event<'MoneyMoved', { amount: number }>;

@Aggregate({ name: 'account', version: 1 })
class Account extends AggregateRoot<State, AccountEvent> {
  static readonly initial: State = { balance: 0 };

  @Command() move(amount: number) {
    if (this.state.balance + amount < 0) throw new Error(`Only ${this.state.balance} are left`);
    this.emit('MoneyMoved', { amount });
    return this.state.balance; // reduced already
  }

  @Reduces('MoneyMoved') static moved(state: State, event: Of<AccountEvent, 'MoneyMoved'>) {
    state.balance += event.data.amount;
  }
}

const store = await openStore({ dir: './data', aggregates: [Account] });
console.log('replayed', store.recovery.entriesReplayed, 'entries after', store.recovery.checkpoint?.name);
store.records$.subscribe(({ position, stream, data }) => console.log(position, stream, data)); // committed ones only

await store.execute(Account, 'ada', (account) => account.move(100)); // resolves when it is on stable storage
const { result } = await store.execute(Account, 'ada', (account) => account.move(-30));
console.log('Ada has', result);

await store.checkpoint(); // the next start begins here
await store.close();
