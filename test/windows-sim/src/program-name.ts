/** @returns the name of a program without `.exe`, in lower case */
export function programName(name: string): string {
  return name.toLowerCase().replace(/\.exe$/, '');
}
