export async function run() {
  throw new Error('to do');
}
