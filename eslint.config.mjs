import tseslint from 'typescript-eslint';

const noShellStrings = {
  'no-restricted-imports': [
    'error',
    {
      paths: ['child_process', 'node:child_process'].map(name => ({
        name,
        importNames: ['exec', 'execSync'],
        message: 'Labels and names are hostile input: use execFile or spawn with an argv array.',
      })),
    },
  ],
  'no-restricted-syntax': [
    'error',
    {
      selector: 'Property[key.name="shell"][value.value!=false]',
      message: 'Labels and names are hostile input: no shell; pass an argv array.',
    },
    { selector: 'TSEnumDeclaration', message: 'Use a union of string literals.' },
  ],
};

/** Imports that only one place may make; see "Dependency rule" in docs/architecture.md. */
const onlyIn = (module, place) => ({
  name: module,
  message: `Only ${place} imports ${module}.`,
});

export default tseslint.config(
  { ignores: ['**/dist/', '**/node_modules/', '**/.cache/'] },
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      ...noShellStrings,
      'no-console': 'error',
      eqeqeq: 'error',
      'prefer-const': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/consistent-type-definitions': 'off',
      // winston declares its transports as namespaces' members, which this rule takes for other classes.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // Index signatures are read with brackets (noPropertyAccessFromIndexSignature reads better that way).
      '@typescript-eslint/dot-notation': 'off',
      // To leave members out is what the rest of a destructuring is for.
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true }],
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
    },
  },
  {
    files: ['packages/*/src/**/*.ts'],
    ignores: ['packages/*/src/main.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        { name: 'process', message: 'Only main.ts touches process; pass in what is needed.' },
      ],
    },
  },
  {
    files: ['packages/*/src/**/*.ts'],
    ignores: ['packages/monitor/src/docker/**', 'packages/proxy/src/relay.ts', 'packages/proxy/src/relay/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: [
            ...noShellStrings['no-restricted-imports'][1].paths,
            onlyIn('dockerode', 'packages/monitor/src/docker'),
            onlyIn('http-proxy', 'packages/proxy/src/relay.ts'),
          ],
        },
      ],
    },
  },
  {
    // What runs in the browser of whoever looks at the monitor's page.
    files: ['packages/monitor/src/page/{browser,model}/**'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: ['node:*'], message: 'The page runs in browsers.' },
            { group: ['@msi-proxy/*'], allowTypeImports: true, message: 'It would bring the logger along.' },
          ],
        },
      ],
    },
  },
  {
    files: ['**/test/**/*.ts', 'scripts/**', 'deploy/**', 'bench/**', '**/*.mjs'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['**/*.mjs'],
    ...tseslint.configs.disableTypeChecked,
  },
);
