const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const DAY_AND_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** A time of the day, with its date when that is not today, in the reader's zone. */
export function Moment({ at, children }: { readonly at: string; readonly children?: string }) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return null;
  const isToday = date.toDateString() === new Date().toDateString();
  return (
    <time dateTime={at} title={DAY_AND_TIME.format(date)}>
      {children ?? (isToday ? TIME : DAY_AND_TIME).format(date)}
    </time>
  );
}
