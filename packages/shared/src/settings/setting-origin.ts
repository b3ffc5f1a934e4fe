/** What gave a setting its value. */
export type SettingOrigin =
  | { readonly kind: 'default' }
  | { readonly kind: 'environment'; readonly name: string }
  | { readonly kind: 'flag'; readonly name: string }
  | { readonly kind: 'file'; readonly path: string; readonly line: number; readonly key: string };

/** As whoever gave it finds it: a variable, a flag, or a file with a line. */
export function formatOrigin(origin: SettingOrigin): string {
  switch (origin.kind) {
    case 'default':
      return 'default';
    case 'environment':
    case 'flag':
      return origin.name;
    case 'file':
      return `${origin.path}:${origin.line}`;
  }
}
