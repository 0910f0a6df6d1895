#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *encode(PyObject *self, PyObject *text)
{
    (void)self;
    Py_ssize_t size;
    const char *bytes = PyUnicode_AsUTF8AndSize(text, &size);
    PyObject *runs = bytes ? PyList_New(0) : NULL;
    for (Py_ssize_t at = 0, end; runs && at < size; at = end) {
        for (end = at; end < size && bytes[end] == bytes[at]; end++)
            ;
        PyObject *run = Py_BuildValue("[s#n]", bytes + at, (Py_ssize_t)1, end - at);
        if (!run || PyList_Append(runs, run))
            Py_CLEAR(runs);
        Py_XDECREF(run);
    }
    return runs;
}

static PyMethodDef methods[] = {{"encode", encode, METH_O, "Runs of equal bytes."}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_runlength", NULL, -1, methods};

PyMODINIT_FUNC PyInit__runlength(void) { return PyModule_Create(&module); }
