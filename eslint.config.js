import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["imagehub/static/vendor/", "imagehub/templates/", ".venv/", "build/", "instance/"] },
  js.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "array-callback-return": "error",
      "consistent-return": "error",
      curly: ["error", "multi-line"],
      "default-case-last": "error",
      eqeqeq: "error",
      "no-alert": "error",
      "no-await-in-loop": "off", // calls are made one after the other on purpose
      "no-constant-binary-expression": "error",
      "no-else-return": "error",
      "no-eval": "error",
      "no-implicit-coercion": "error",
      "no-lonely-if": "error",
      "no-new-func": "error",
      "no-param-reassign": "error",
      "no-promise-executor-return": "error",
      "no-return-assign": "error",
      "no-self-compare": "error",
      "no-shadow": "error",
      "no-template-curly-in-string": "error",
      "no-unneeded-ternary": "error",
      "no-unreachable-loop": "error",
      "no-unused-expressions": "error",
      "no-useless-concat": "error",
      "no-useless-rename": "error",
      "no-useless-return": "error",
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "prefer-object-has-own": "error",
      "prefer-promise-reject-errors": "error",
      "prefer-template": "error",
      "require-atomic-updates": "off",
      yoda: "error",
    },
  },
  { files: ["imagehub/static/js/**"], languageOptions: { globals: globals.browser } },
  {
    files: ["imagehub/static/js/service-worker.js"],
    languageOptions: { sourceType: "script", globals: globals.serviceworker },
  },
  {
    files: ["tests/js/**", "*.config.js"],
    languageOptions: {
      globals: {
        ...globals.node,
        document: "writable",
        location: "writable",
        HTMLMetaElement: "writable",
      },
    },
  },
];
