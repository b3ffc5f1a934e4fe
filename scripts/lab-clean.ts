// npm run lab:clean: removes labs that an interrupted run or `npm run demo -- --keep` left.
import { removeAbandonedLabs } from '../test/lab/index.ts';

const removed = await removeAbandonedLabs({ alsoKept: true });
console.log(removed.length === 0 ? 'No lab was left.' : `Removed: ${removed.map(({ id }) => id).join(', ')}`);
