/* Nothing to run: that this links is the test. */
int main(void)
{
    return 0;
}
